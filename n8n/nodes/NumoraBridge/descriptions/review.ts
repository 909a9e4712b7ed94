import type { INodeProperties } from 'n8n-workflow';

const show = (...operation: string[]) => ({ show: { resource: ['review'], operation } });

export const reviewOperations: INodeProperties = {
	displayName: 'Operation',
	name: 'operation',
	type: 'options',
	noDataExpression: true,
	displayOptions: { show: { resource: ['review'] } },
	options: [
		{
			name: 'Approve',
			value: 'approve',
			action: 'Approve a review',
			description: 'Approve one version of a review',
		},
		{
			name: 'Get',
			value: 'get',
			action: 'Get a review',
			description: 'Get a review with its versions',
		},
		{
			name: 'Get Many',
			value: 'getAll',
			action: 'Get many reviews',
			description: 'Get many reviews',
		},
		{
			name: 'Reject',
			value: 'reject',
			action: 'Reject a review',
			description: 'Reject one version of a review, with a reason',
		},
	],
	default: 'getAll',
};

export const reviewFields: INodeProperties[] = [
	{
		displayName: 'Review ID',
		name: 'reviewId',
		type: 'string',
		default: '',
		required: true,
		description: 'The ID of the review at Retab',
		displayOptions: show('approve', 'get', 'reject'),
	},
	{
		displayName: 'Version ID',
		name: 'versionId',
		type: 'string',
		default: '',
		required: true,
		description: 'The version that the person who decides has seen',
		displayOptions: show('approve', 'reject'),
	},
	{
		displayName: 'Acknowledged Superseded Version IDs',
		name: 'acknowledged',
		type: 'string',
		default: '',
		description:
			'Versions, separated by commas, that exist beside this one and are knowingly passed over. Fill in only what a person has looked at.',
		displayOptions: show('approve'),
	},
	{
		displayName: 'Reason',
		name: 'reason',
		type: 'string',
		default: '',
		required: true,
		description: 'Why the version is rejected',
		displayOptions: show('reject'),
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
		displayOptions: { show: { resource: ['review'], operation: ['getAll'], returnAll: [false] } },
	},
	{
		displayName: 'Filters',
		name: 'filters',
		type: 'collection',
		placeholder: 'Add filter',
		default: {},
		displayOptions: show('getAll'),
		options: [
			{
				displayName: 'Decision Status',
				name: 'decision_status',
				type: 'options',
				options: [
					{ name: 'All', value: 'all' },
					{ name: 'Approved', value: 'approved' },
					{ name: 'Cancelled', value: 'cancelled' },
					{ name: 'Decided', value: 'decided' },
					{ name: 'Pending', value: 'pending' },
					{ name: 'Rejected', value: 'rejected' },
				],
				default: 'pending',
				description: 'Only reviews with this decision status',
			},
			{
				displayName: 'Workflow ID',
				name: 'workflow_id',
				type: 'string',
				default: '',
				description: 'Only reviews of this workflow',
			},
		],
	},
];
