import type {
	IAuthenticateGeneric,
	Icon,
	ICredentialTestRequest,
	ICredentialType,
	INodeProperties,
} from 'n8n-workflow';

export class NumoraBridgeApi implements ICredentialType {
	name = 'numoraBridgeApi';

	displayName = 'Numora Bridge API';

	icon: Icon = {
		light: 'file:../icons/numoraBridge.svg',
		dark: 'file:../icons/numoraBridge.dark.svg',
	};

	documentationUrl = 'https://docs.n8n.io/integrations/community-nodes/usage/';

	properties: INodeProperties[] = [
		{
			displayName: 'Base URL',
			name: 'baseUrl',
			type: 'string',
			default: '',
			placeholder: 'http://bridge:8484',
			description: 'Where the bridge listens, as n8n reaches it, without a path',
			required: true,
		},
		{
			displayName: 'API Key',
			name: 'apiKey',
			type: 'string',
			typeOptions: { password: true },
			default: '',
			description:
				'A key from api_keys: one of a tenant’s file is good for that tenant alone, one of bridge.yaml for every tenant',
			required: true,
		},
	];

	authenticate: IAuthenticateGeneric = {
		type: 'generic',
		properties: {
			headers: {
				Authorization: '=Bearer {{$credentials.apiKey}}',
			},
		},
	};

	test: ICredentialTestRequest = {
		request: {
			baseURL: '={{$credentials.baseUrl.replace(/\\/+$/, "")}}',
			url: '/v1/me',
		},
	};
}
