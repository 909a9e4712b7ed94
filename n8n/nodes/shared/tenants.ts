import type { ILoadOptionsFunctions, INodeListSearchResult, INodeProperties } from 'n8n-workflow';

import { askBridge } from './transport';

/** The tenant that a node works for: from the list that its key may see, or by id. */
export const tenantProperty: INodeProperties = {
	displayName: 'Tenant',
	name: 'tenant',
	type: 'resourceLocator',
	default: { mode: 'list', value: '' },
	required: true,
	description: 'The tenant whose documents these are: the name of its file in the bridge’s configuration',
	modes: [
		{
			displayName: 'From List',
			name: 'list',
			type: 'list',
			typeOptions: { searchListMethod: 'searchTenants', searchable: true },
		},
		{
			displayName: 'By ID',
			name: 'id',
			type: 'string',
			placeholder: 'acme',
		},
	],
};

/** Lists the tenants that the credential's key may see. */
export async function searchTenants(this: ILoadOptionsFunctions, filter?: string): Promise<INodeListSearchResult> {
	const { tenants } = await askBridge(this, { method: 'GET', path: '/v1/me' });
	const wanted = (filter ?? '').toLowerCase();
	return {
		results: (tenants as string[])
			.filter((tenant) => tenant.toLowerCase().includes(wanted))
			.map((tenant) => ({ name: tenant, value: tenant })),
	};
}
