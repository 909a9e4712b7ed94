import type { INodeProperties } from 'n8n-workflow';

const show = (...operation: string[]) => ({ show: { resource: ['document'], operation } });

export const documentOperations: INodeProperties = {
	displayName: 'Operation',
	name: 'operation',
	type: 'options',
	noDataExpression: true,
	displayOptions: { show: { resource: ['document'] } },
	options: [
		{
			name: 'Approve',
			value: 'approve',
			action: 'Approve a document',
			description: 'Approve a document that is in review',
		},
		{
			name: 'Deliver',
			value: 'deliver',
			action: 'Deliver a document',
			description: 'Deliver a document now, and wait for the end if wanted. Safe to repeat.',
		},
		{
			name: 'Dispatch',
			value: 'dispatch',
			action: 'Dispatch a document',
			description: 'Let Numora itself deliver a document',
		},
		{
			name: 'Get',
			value: 'get',
			action: 'Get a document',
			description: 'Get a document with its result and its deliveries',
		},
		{
			name: 'Preview',
			value: 'preview',
			action: 'Preview a delivery',
			description: 'See what a delivery would write, without writing anything',
		},
		{
			name: 'Reject',
			value: 'reject',
			action: 'Reject a document',
			description: 'Send a document back to review',
		},
		{
			name: 'Retry Push',
			value: 'retryPush',
			action: 'Retry the push of a document',
			description: 'Let Numora start its workflow for a reviewed document again',
		},
		{
			name: 'Submit',
			value: 'submit',
			action: 'Submit a document',
			description: 'Hand a new document to Numora. Safe to repeat with the same external ID.',
		},
	],
	default: 'deliver',
};

export const documentFields: INodeProperties[] = [
	{
		displayName: 'Document ID',
		name: 'documentId',
		type: 'string',
		default: '',
		required: true,
		placeholder: 'doc_123',
		description: 'The ID of the document at Numora',
		displayOptions: show('approve', 'deliver', 'dispatch', 'get', 'preview', 'reject', 'retryPush'),
	},
	{
		displayName: 'Wait',
		name: 'wait',
		type: 'number',
		typeOptions: { minValue: 0, maxValue: 60 },
		default: 30,
		description:
			'How many seconds to wait for the end at most. A delivery that takes longer goes on; what comes back is how it stands.',
		displayOptions: show('deliver'),
	},
	{
		displayName: 'Options',
		name: 'deliverOptions',
		type: 'collection',
		placeholder: 'Add option',
		default: {},
		displayOptions: show('deliver'),
		options: [
			{
				displayName: 'Force',
				name: 'force',
				type: 'boolean',
				default: false,
				description:
					'Whether to compare with the row and write what differs even if this content was delivered already',
			},
			{
				displayName: 'Resume URL',
				name: 'resumeUrl',
				type: 'string',
				default: '',
				placeholder: '={{ $execution.resumeUrl }}',
				description:
					'The address of a Wait node that comes later in this workflow: the bridge calls it once when the delivery has ended. Set Wait to 0 with it.',
			},
		],
	},
	{
		displayName: 'Expected Updated At',
		name: 'expectedUpdatedAt',
		type: 'string',
		default: '',
		placeholder: '2026-01-31T09:30:00.000Z',
		description:
			'The updated_at of the document as the person who decides saw it. When it has changed since, nothing is decided: that is the conflict. Leave empty to decide about the document whatever its state.',
		displayOptions: show('approve', 'reject'),
	},
	{
		displayName: 'Review State',
		name: 'reviewState',
		type: 'json',
		default: '',
		placeholder: '{"version": 1, "confirmed_general_field_names": ["invoice_number"], "confirmed_line_item_ids": []}',
		description: 'Which fields and lines the reviewer confirmed. Leave empty to leave it as it is.',
		displayOptions: show('approve'),
	},
	{
		displayName: 'Schema',
		name: 'schema',
		type: 'string',
		default: '',
		required: true,
		placeholder: 'invoice_v2',
		description: 'The schema by which Numora is to read the document',
		displayOptions: show('submit'),
	},
	{
		displayName: 'File URL',
		name: 'fileUrl',
		type: 'string',
		default: '',
		required: true,
		placeholder: 'https://files.example.com/invoice.pdf',
		description: 'Where Numora fetches the file from',
		displayOptions: show('submit'),
	},
	{
		displayName: 'External ID',
		name: 'externalId',
		type: 'string',
		default: '',
		description:
			'Your own name for the document. The same one is never submitted twice. Left empty, only repeats within one execution are recognised.',
		displayOptions: show('submit'),
	},
	{
		displayName: 'Metadata',
		name: 'metadata',
		type: 'json',
		default: '',
		placeholder: '{"vendor_code": "V-100"}',
		description: 'What travels with the document and can be mapped, as a JSON object',
		displayOptions: show('submit'),
	},
];
