import {
	NodeApiError,
	NodeConnectionTypes,
	NodeOperationError,
	type IDataObject,
	type IExecuteFunctions,
	type INodeExecutionData,
	type INodeType,
	type INodeTypeDescription,
} from 'n8n-workflow';

import { searchTenants, tenantProperty } from '../shared/tenants';
import { askBridge, callBridge, problemOf, type BridgeRequest } from '../shared/transport';
import { deliveryFields, deliveryOperations } from './descriptions/delivery';
import { documentFields, documentOperations } from './descriptions/document';
import { reviewFields, reviewOperations } from './descriptions/review';
import { tenantOperations } from './descriptions/tenant';
import { isTool, operations } from './requests';

/** How many items are on their way at once. */
const ABREAST = 10;

/** What the bridge answers a decision that somebody else has overtaken. */
const CONFLICTS = new Set(['conflict', 'decided_otherwise', 'superseded_versions']);

const PAGE = 200;

interface Outcome {
	items: INodeExecutionData[];
	conflict: boolean;
}

export class NumoraBridge implements INodeType {
	description: INodeTypeDescription = {
		displayName: 'Numora Bridge',
		name: 'numoraBridge',
		icon: { light: 'file:../../icons/numoraBridge.svg', dark: 'file:../../icons/numoraBridge.dark.svg' },
		group: ['transform'],
		version: 1,
		subtitle: '={{ $parameter["operation"] + ": " + $parameter["resource"] }}',
		description: 'Deliver reviewed Numora documents into Dynamics 365, and decide about them',
		defaults: { name: 'Numora Bridge' },
		usableAsTool: true,
		inputs: [NodeConnectionTypes.Main],
		outputs:
			'={{ $parameter["onConflict"] === "output" && ["approve", "reject"].includes($parameter["operation"]) ? [{ type: "main", displayName: "Done" }, { type: "main", displayName: "Conflict" }] : [{ type: "main" }] }}',
		credentials: [{ name: 'numoraBridgeApi', required: true }],
		properties: [
			{
				displayName: 'Resource',
				name: 'resource',
				type: 'options',
				noDataExpression: true,
				options: [
					{ name: 'Delivery', value: 'delivery' },
					{ name: 'Document', value: 'document' },
					{ name: 'Review (Retab)', value: 'review' },
					{ name: 'Tenant', value: 'tenant' },
				],
				default: 'document',
			},
			documentOperations,
			deliveryOperations,
			reviewOperations,
			tenantOperations,
			{ ...tenantProperty, displayOptions: { show: { resource: ['delivery', 'document', 'review'] } } },
			{ ...tenantProperty, displayOptions: { show: { resource: ['tenant'], operation: ['poll'] } } },
			...documentFields,
			...deliveryFields,
			...reviewFields,
			{
				displayName: 'On Conflict',
				name: 'onConflict',
				type: 'options',
				options: [
					{
						name: 'Stop With an Error',
						value: 'error',
						description: 'The conflict is an error like any other',
					},
					{
						name: 'Use a Second Output',
						value: 'output',
						description: 'The item leaves through the output Conflict, with what stands there now',
					},
				],
				default: 'error',
				description:
					'What to do when the document or review was changed or decided by somebody else in between: nothing has been decided then',
				displayOptions: { show: { resource: ['document', 'review'], operation: ['approve', 'reject'] } },
			},
		],
	};

	methods = { listSearch: { searchTenants } };

	async execute(this: IExecuteFunctions): Promise<INodeExecutionData[][]> {
		const count = this.getInputData().length;
		const outcomes: Outcome[] = new Array<Outcome>(count);
		let next = 0;
		let failure: Error | undefined;
		const walk = async () => {
			while (next < count && failure === undefined) {
				const item = next++;
				try {
					outcomes[item] = await outcomeOf(this, item);
				} catch (error) {
					if (!this.continueOnFail()) failure ??= error;
					else outcomes[item] = { items: [failed(error, item)], conflict: false };
				}
			}
		};
		await Promise.all(Array.from({ length: Math.min(ABREAST, count) }, walk));
		if (failure instanceof NodeApiError || failure instanceof NodeOperationError) throw failure;
		if (failure !== undefined) throw new NodeOperationError(this.getNode(), failure);

		const done = outcomes.filter(({ conflict }) => !conflict).flatMap(({ items }) => items);
		const conflicts = outcomes.filter(({ conflict }) => conflict).flatMap(({ items }) => items);
		return hasConflictOutput(this) ? [done, conflicts] : [done];
	}
}

/** A tool has one answer to give, and an agent reads a conflict in it like any other. */
function hasConflictOutput(node: IExecuteFunctions): boolean {
	return (
		!isTool(node) &&
		node.getNodeParameter('onConflict', 0, 'error') === 'output' &&
		['approve', 'reject'].includes(node.getNodeParameter('operation', 0) as string)
	);
}

async function outcomeOf(node: IExecuteFunctions, item: number): Promise<Outcome> {
	const resource = node.getNodeParameter('resource', item) as string;
	const operation = node.getNodeParameter('operation', item) as string;
	const ask = operations[resource]?.[operation];
	if (ask === undefined) {
		throw new NodeOperationError(node.getNode(), `There is no operation "${operation}" for "${resource}"`, {
			itemIndex: item,
		});
	}
	const request = ask(node, item);
	if (operation === 'getAll') return outcome(await listed(node, request, resource, item), item);

	const answer = await callBridge(node, request);
	if (answer.status >= 200 && answer.status < 300) return outcome([answer.body], item);
	if (answer.status === 409 && CONFLICTS.has(String(answer.body.code)) && hasConflictOutput(node)) {
		return outcome([answer.body], item, true);
	}
	throw problemOf(node, answer, item);
}

/** Reads page after page until there are enough, or no more. */
async function listed(
	node: IExecuteFunctions,
	request: BridgeRequest,
	resource: string,
	item: number,
): Promise<IDataObject[]> {
	const paged = resource !== 'tenant';
	const all = !paged || (node.getNodeParameter('returnAll', item, false) as boolean);
	const wanted = all ? Infinity : (node.getNodeParameter('limit', item, 50) as number);
	const found: IDataObject[] = [];
	let cursor: string | null = null;
	do {
		const query: IDataObject = { ...request.query };
		if (paged) query.limit = Math.min(PAGE, wanted - found.length);
		if (cursor !== null) query.cursor = cursor;
		const page = await askBridge(node, { ...request, query }, item);
		found.push(...((page.data ?? []) as IDataObject[]));
		cursor = (page.next_cursor ?? null) as string | null;
	} while (cursor !== null && found.length < wanted);
	return all ? found : found.slice(0, wanted);
}

function outcome(answers: IDataObject[], item: number, conflict = false): Outcome {
	return { items: answers.map((json) => ({ json, pairedItem: { item } })), conflict };
}

/** What goes on instead of an item's answer when the node is to continue after errors. */
function failed(error: Error, item: number): INodeExecutionData {
	const told = error instanceof NodeApiError ? (error.context.data as IDataObject | undefined) : undefined;
	return { json: { ...told, error: error.message }, pairedItem: { item } };
}
