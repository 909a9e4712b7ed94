import {
	NodeConnectionTypes,
	type IDataObject,
	type IHookFunctions,
	type INodeType,
	type INodeTypeDescription,
	type IWebhookFunctions,
	type IWebhookResponseData,
} from 'n8n-workflow';

import { searchTenants, tenantProperty } from '../shared/tenants';
import { askBridge, pathOf } from '../shared/transport';
import { isSigned, newSecret } from './signature';

/** What the node remembers of its subscription, from activation to deactivation. */
interface Memory {
	secret?: string;
	subscription?: string;
	tenant?: string;
}

interface Subscription {
	id: string;
	url: string;
	types: string[];
	state: string;
}

export class NumoraBridgeTrigger implements INodeType {
	description: INodeTypeDescription = {
		displayName: 'Numora Bridge Trigger',
		name: 'numoraBridgeTrigger',
		icon: { light: 'file:../../icons/numoraBridge.svg', dark: 'file:../../icons/numoraBridge.dark.svg' },
		group: ['trigger'],
		version: 1,
		subtitle: '={{ $parameter["types"].join(", ") }}',
		description: 'Starts the workflow when a delivery has ended, or a tenant is blocked or works again',
		defaults: { name: 'Numora Bridge Trigger' },
		inputs: [],
		outputs: [NodeConnectionTypes.Main],
		credentials: [{ name: 'numoraBridgeApi', required: true }],
		webhooks: [{ name: 'default', httpMethod: 'POST', responseMode: 'onReceived', path: 'webhook' }],
		properties: [
			tenantProperty,
			{
				displayName: 'Events',
				name: 'types',
				type: 'multiOptions',
				required: true,
				options: [
					{ name: 'Delivery Failed', value: 'delivery.failed' },
					{ name: 'Delivery Parked', value: 'delivery.parked' },
					{ name: 'Delivery Skipped', value: 'delivery.skipped' },
					{ name: 'Delivery Succeeded', value: 'delivery.succeeded' },
					{ name: 'Delivery Superseded', value: 'delivery.superseded' },
					{ name: 'Tenant Blocked', value: 'tenant.blocked' },
					{ name: 'Tenant Recovered', value: 'tenant.recovered' },
				],
				default: ['delivery.failed', 'delivery.parked'],
				description: 'What starts the workflow',
			},
			{
				displayName:
					'An event may come twice, and events may come in another order than they happened. webhook_id is the same for the same event.',
				name: 'notice',
				type: 'notice',
				default: '',
			},
		],
	};

	methods = { listSearch: { searchTenants } };

	webhookMethods = {
		default: {
			async checkExists(this: IHookFunctions): Promise<boolean> {
				const memory = this.getWorkflowStaticData('node') as Memory;
				const tenant = tenantOf(this);
				if (!memory.secret || memory.tenant !== tenant) return false;
				const url = this.getNodeWebhookUrl('default');
				const wanted = typesOf(this);
				const found = (await subscriptions(this, tenant)).find((each) => each.url === url);
				if (found === undefined || found.state === 'gone') return false;
				if (found.types.length !== wanted.length || !wanted.every((type) => found.types.includes(type))) return false;
				if (found.state === 'paused') {
					await askBridge(this, {
						method: 'POST',
						path: pathOf(this, 'tenants', tenant, 'subscriptions', found.id, 'resume'),
						body: {},
					});
				}
				memory.subscription = found.id;
				return true;
			},

			async create(this: IHookFunctions): Promise<boolean> {
				const memory = this.getWorkflowStaticData('node') as Memory;
				const tenant = tenantOf(this);
				const secret = memory.secret ?? newSecret();
				const made = await askBridge(this, {
					method: 'POST',
					path: pathOf(this, 'tenants', tenant, 'subscriptions'),
					body: { url: this.getNodeWebhookUrl('default'), types: typesOf(this), secret },
				});
				memory.secret = secret;
				memory.subscription = made.id as string;
				memory.tenant = tenant;
				return true;
			},

			async delete(this: IHookFunctions): Promise<boolean> {
				const memory = this.getWorkflowStaticData('node') as Memory;
				if (memory.subscription && memory.tenant) {
					await askBridge(this, {
						method: 'DELETE',
						path: pathOf(this, 'tenants', memory.tenant, 'subscriptions', memory.subscription),
					});
				}
				delete memory.subscription;
				delete memory.tenant;
				delete memory.secret;
				return true;
			},
		},
	};

	async webhook(this: IWebhookFunctions): Promise<IWebhookResponseData> {
		const { secret } = this.getWorkflowStaticData('node') as Memory;
		const request = this.getRequestObject();
		const id = this.getHeaderData()['webhook-id'] as string | undefined;
		const headers = {
			id,
			timestamp: this.getHeaderData()['webhook-timestamp'] as string | undefined,
			signature: this.getHeaderData()['webhook-signature'] as string | undefined,
		};
		if (!secret || !request.rawBody || !isSigned(secret, headers, request.rawBody, Date.now() / 1000)) {
			this.getResponseObject().status(401).json({ message: 'The signature is missing, wrong or too old.' });
			return { noWebhookResponse: true };
		}
		const { type, timestamp, data } = this.getBodyData();
		return { workflowData: [this.helpers.returnJsonArray({ webhook_id: id, type, timestamp, data } as IDataObject)] };
	}
}

const tenantOf = (node: IHookFunctions) =>
	String(node.getNodeParameter('tenant', '', { extractValue: true }) ?? '').trim();

const typesOf = (node: IHookFunctions) => node.getNodeParameter('types', []) as string[];

async function subscriptions(node: IHookFunctions, tenant: string): Promise<Subscription[]> {
	const { data } = await askBridge(node, { method: 'GET', path: pathOf(node, 'tenants', tenant, 'subscriptions') });
	return (data ?? []) as unknown as Subscription[];
}
