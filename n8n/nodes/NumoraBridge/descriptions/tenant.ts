import type { INodeProperties } from 'n8n-workflow';

export const tenantOperations: INodeProperties = {
	displayName: 'Operation',
	name: 'operation',
	type: 'options',
	noDataExpression: true,
	displayOptions: { show: { resource: ['tenant'] } },
	options: [
		{
			name: 'Get Many',
			value: 'getAll',
			action: 'Get many tenants',
			description: 'Get the tenants that the key may see, with their health',
		},
		{
			name: 'Poll',
			value: 'poll',
			action: 'Poll the outbox of a tenant',
			description: 'Read a tenant’s outbox now. Deliveries then go on by themselves.',
		},
	],
	default: 'poll',
};
