import type { INodeProperties } from 'n8n-workflow';

const show = (...operation: string[]) => ({ show: { resource: ['delivery'], operation } });

const states = [
	{ name: 'Failed', value: 'failed' },
	{ name: 'Parked', value: 'parked' },
	{ name: 'Queued', value: 'queued' },
	{ name: 'Skipped', value: 'skipped' },
	{ name: 'Succeeded', value: 'succeeded' },
	{ name: 'Superseded', value: 'superseded' },
	{ name: 'Working', value: 'working' },
];

export const deliveryOperations: INodeProperties = {
	displayName: 'Operation',
	name: 'operation',
	type: 'options',
	noDataExpression: true,
	displayOptions: { show: { resource: ['delivery'] } },
	options: [
		{
			name: 'Get',
			value: 'get',
			action: 'Get a delivery',
			description: 'Get a delivery with its attempts and every outgoing request',
		},
		{
			name: 'Get Many',
			value: 'getAll',
			action: 'Get many deliveries',
			description: 'Get many deliveries, newest first',
		},
		{
			name: 'Retry',
			value: 'retry',
			action: 'Retry a delivery',
			description: 'Make a delivery once more',
		},
		{
			name: 'Retry Many',
			value: 'retryMany',
			action: 'Retry many deliveries',
			description: 'Make every delivery once more that matches a filter, or count them first',
		},
	],
	default: 'getAll',
};

export const deliveryFields: INodeProperties[] = [
	{
		displayName: 'Delivery ID',
		name: 'deliveryId',
		type: 'string',
		default: '',
		required: true,
		placeholder: 'dlv_019c1234abc0011223344556677',
		description: 'The ID of the delivery, as events and lists give it',
		displayOptions: show('get', 'retry'),
	},
	{
		displayName: 'Return All',
		name: 'returnAll',
		type: 'boolean',
		default: false,
		description: 'Whether to return all results or only up to a given limit',
		displayOptions: show('getAll'),
	},
	{
		displayName: 'Limit',
		name: 'limit',
		type: 'number',
		typeOptions: { minValue: 1 },
		default: 50,
		description: 'Max number of results to return',
		displayOptions: { show: { resource: ['delivery'], operation: ['getAll'], returnAll: [false] } },
	},
	{
		displayName: 'Dry Run',
		name: 'dryRun',
		type: 'boolean',
		default: true,
		description: 'Whether to only tell how many deliveries match, and which',
		displayOptions: show('retryMany'),
	},
	{
		displayName: 'Mapping',
		name: 'mapping',
		type: 'options',
		options: [
			{ name: 'Latest', value: 'latest', description: 'The mapping that is in force now' },
			{ name: 'Same', value: 'same', description: 'The mapping that made the delivery' },
		],
		default: 'latest',
		description: 'Which mapping is used',
		displayOptions: show('retry', 'retryMany'),
	},
	{
		displayName: 'Filters',
		name: 'filters',
		type: 'collection',
		placeholder: 'Add filter',
		default: {},
		displayOptions: show('getAll', 'retryMany'),
		options: [
			{
				displayName: 'Document ID',
				name: 'document_id',
				type: 'string',
				default: '',
				description: 'Only deliveries of this document',
			},
			{
				displayName: 'Error Code',
				name: 'error_code',
				type: 'string',
				default: '',
				placeholder: 'lookup_missing',
				description: 'Only deliveries that ended or wait with this code',
			},
			{
				displayName: 'States',
				name: 'state',
				type: 'multiOptions',
				options: states,
				default: ['failed', 'parked'],
				description: 'Only deliveries in one of these states. A retry takes failed and parked ones if none is named.',
			},
		],
	},
];
