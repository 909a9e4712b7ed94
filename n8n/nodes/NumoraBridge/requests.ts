import { createHash } from 'crypto';
import { NodeOperationError, type IDataObject, type IExecuteFunctions } from 'n8n-workflow';

import { pathOf, type BridgeRequest } from '../shared/transport';

/** What an operation asks of the bridge. Those that list are asked page by page. */
export type Operation = (node: IExecuteFunctions, item: number) => BridgeRequest;

const text = (node: IExecuteFunctions, name: string, item: number) =>
	String(node.getNodeParameter(name, item, '') ?? '').trim();

const tenantOf = (node: IExecuteFunctions, item: number) =>
	String(node.getNodeParameter('tenant', item, '', { extractValue: true }) ?? '').trim();

const documentPath = (node: IExecuteFunctions, item: number, ...action: string[]) =>
	pathOf(node, 'tenants', tenantOf(node, item), 'documents', text(node, 'documentId', item), ...action);

const deliveryPath = (node: IExecuteFunctions, item: number, ...more: string[]) =>
	pathOf(node, 'tenants', tenantOf(node, item), 'deliveries', ...more);

const reviewPath = (node: IExecuteFunctions, item: number, ...more: string[]) =>
	pathOf(node, 'tenants', tenantOf(node, item), 'reviews', ...more);

/** Leaves out what was left empty: the bridge has its own defaults. */
function filled(values: IDataObject): IDataObject {
	const isFilled = (value: unknown) =>
		value !== undefined && value !== null && value !== '' && !(Array.isArray(value) && value.length === 0);
	return Object.fromEntries(Object.entries(values).filter(([, value]) => isFilled(value)));
}

/** Reads a parameter that holds a JSON object, as text or as an object that an expression gave. */
function objectParameter(node: IExecuteFunctions, name: string, label: string, item: number): IDataObject | undefined {
	const given = node.getNodeParameter(name, item, '');
	if (given === '' || given === null || given === undefined) return undefined;
	let read: unknown = given;
	if (typeof given === 'string') {
		try {
			read = JSON.parse(given);
		} catch (error) {
			throw new NodeOperationError(node.getNode(), `${label} is not JSON: ${(error as Error).message}`, {
				itemIndex: item,
			});
		}
	}
	if (read === null) return undefined;
	if (typeof read !== 'object' || Array.isArray(read)) {
		throw new NodeOperationError(node.getNode(), `${label} has to be a JSON object`, { itemIndex: item });
	}
	return read as IDataObject;
}

const commaList = (value: string) =>
	value
		.split(',')
		.map((part) => part.trim())
		.filter(Boolean);

/** Is this the node as an AI agent's tool? Then one run may hold several calls that mean different things. */
export const isTool = (node: IExecuteFunctions) => node.getNode().type.endsWith('Tool');

/**
 * Names a call, so that the bridge knows it again when n8n tries the node again. The name is that of the item in this
 * run of the node, together with what is asked.
 */
function named(node: IExecuteFunctions, item: number, request: BridgeRequest): BridgeRequest {
	const run = node.getWorkflowDataProxy(item).$runIndex as number;
	const asked = createHash('sha256')
		.update(JSON.stringify([node.getNode().id, run, item, request.path, request.body]))
		.digest('hex');
	return { ...request, headers: { 'Idempotency-Key': `n8n-${node.getExecutionId()}-${asked.slice(0, 40)}` } };
}

const decision = (node: IExecuteFunctions, item: number, request: BridgeRequest) =>
	isTool(node) ? request : named(node, item, request);

const filtersOf = (node: IExecuteFunctions, item: number) =>
	filled(node.getNodeParameter('filters', item, {}) as IDataObject);

export const operations: Record<string, Record<string, Operation>> = {
	document: {
		deliver(node, item) {
			const options = node.getNodeParameter('deliverOptions', item, {}) as { force?: boolean; resumeUrl?: string };
			const wait = node.getNodeParameter('wait', item, 0) as number;
			return {
				method: 'POST',
				path: documentPath(node, item, 'deliver'),
				body: filled({ wait, force: options.force, resume_url: options.resumeUrl?.trim() }),
				patience: wait + 60,
			};
		},
		preview: (node, item) => ({ method: 'POST', path: documentPath(node, item, 'preview'), body: {}, patience: 120 }),
		get: (node, item) => ({ method: 'GET', path: documentPath(node, item) }),
		submit: (node, item) =>
			named(node, item, {
				method: 'POST',
				path: pathOf(node, 'tenants', tenantOf(node, item), 'documents'),
				body: filled({
					schema: text(node, 'schema', item),
					file_url: text(node, 'fileUrl', item),
					external_id: text(node, 'externalId', item),
					metadata: objectParameter(node, 'metadata', 'Metadata', item),
				}),
			}),
		approve: (node, item) =>
			decision(node, item, {
				method: 'POST',
				path: documentPath(node, item, 'approve'),
				body: filled({
					expected_updated_at: text(node, 'expectedUpdatedAt', item),
					review_state: objectParameter(node, 'reviewState', 'Review State', item),
				}),
			}),
		reject: (node, item) =>
			decision(node, item, {
				method: 'POST',
				path: documentPath(node, item, 'reject'),
				body: filled({ expected_updated_at: text(node, 'expectedUpdatedAt', item) }),
			}),
		retryPush: (node, item) =>
			decision(node, item, { method: 'POST', path: documentPath(node, item, 'retry-push'), body: {} }),
		dispatch: (node, item) =>
			decision(node, item, { method: 'POST', path: documentPath(node, item, 'dispatch'), body: {} }),
	},
	delivery: {
		getAll(node, item) {
			const { state, ...query } = filtersOf(node, item);
			return {
				method: 'GET',
				path: deliveryPath(node, item),
				query: filled({ ...query, state: ((state ?? []) as string[]).join(',') }),
			};
		},
		get: (node, item) => ({ method: 'GET', path: deliveryPath(node, item, text(node, 'deliveryId', item)) }),
		retry: (node, item) => ({
			method: 'POST',
			path: deliveryPath(node, item, text(node, 'deliveryId', item), 'retry'),
			body: { mapping: node.getNodeParameter('mapping', item, 'latest') as string },
		}),
		retryMany: (node, item) => ({
			method: 'POST',
			path: deliveryPath(node, item, 'retry'),
			body: {
				...filtersOf(node, item),
				mapping: node.getNodeParameter('mapping', item, 'latest') as string,
				dry_run: node.getNodeParameter('dryRun', item, true) as boolean,
			},
		}),
	},
	review: {
		getAll: (node, item) => ({ method: 'GET', path: reviewPath(node, item), query: filtersOf(node, item) }),
		get: (node, item) => ({ method: 'GET', path: reviewPath(node, item, text(node, 'reviewId', item)) }),
		approve: (node, item) =>
			decision(node, item, {
				method: 'POST',
				path: reviewPath(node, item, text(node, 'reviewId', item), 'approve'),
				body: filled({
					version_id: text(node, 'versionId', item),
					acknowledged_superseded_version_ids: commaList(text(node, 'acknowledged', item)),
				}),
			}),
		reject: (node, item) =>
			decision(node, item, {
				method: 'POST',
				path: reviewPath(node, item, text(node, 'reviewId', item), 'reject'),
				body: { version_id: text(node, 'versionId', item), reason: text(node, 'reason', item) },
			}),
	},
	tenant: {
		getAll: (node) => ({ method: 'GET', path: pathOf(node, 'tenants') }),
		poll: (node, item) => ({
			method: 'POST',
			path: pathOf(node, 'tenants', tenantOf(node, item), 'poll'),
			body: {},
			patience: 300,
		}),
	},
};
