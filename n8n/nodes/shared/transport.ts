import {
	NodeApiError,
	NodeOperationError,
	type IDataObject,
	type IExecuteFunctions,
	type IHookFunctions,
	type IHttpRequestMethods,
	type IHttpRequestOptions,
	type ILoadOptionsFunctions,
	type JsonObject,
} from 'n8n-workflow';

type Caller = IExecuteFunctions | IHookFunctions | ILoadOptionsFunctions;

/** One call to the bridge. `path` begins with a slash, its parts encoded by `pathOf`. */
export interface BridgeRequest {
	method: IHttpRequestMethods;
	path: string;
	query?: IDataObject;
	body?: IDataObject;
	headers?: IDataObject;
	/** How long the bridge may take before it answers, in seconds. */
	patience?: number;
}

export interface BridgeAnswer {
	status: number;
	body: IDataObject;
}

const PATIENCE = 60;

/** Joins the parts of a path. A part that could lead to another path is refused. */
export function pathOf(caller: Caller, ...parts: string[]): string {
	for (const part of parts) {
		if (part === '' || part === '.' || part === '..') {
			throw new NodeOperationError(caller.getNode(), `"${part}" is no id`, {
				description: 'A tenant, document, delivery or review is named by its id. Check the expression that gives it.',
			});
		}
	}
	return `/v1/${parts.map(encodeURIComponent).join('/')}`;
}

/** Sends one request. Answers of every status come back; only a bridge that cannot be reached throws. */
export async function callBridge(caller: Caller, request: BridgeRequest): Promise<BridgeAnswer> {
	const credentials = await caller.getCredentials<{ baseUrl: string }>('numoraBridgeApi');
	const options: IHttpRequestOptions = {
		method: request.method,
		url: credentials.baseUrl.trim().replace(/\/+$/, '') + request.path,
		qs: request.query,
		body: request.body,
		headers: { Accept: 'application/json', ...request.headers },
		json: true,
		returnFullResponse: true,
		ignoreHttpStatusErrors: true,
		disableFollowRedirect: true,
		timeout: (request.patience ?? PATIENCE) * 1000,
	};
	try {
		const { statusCode, body } = await caller.helpers.httpRequestWithAuthentication.call(
			caller,
			'numoraBridgeApi',
			options,
		);
		return { status: statusCode, body: asObject(body) };
	} catch (error) {
		throw new NodeApiError(caller.getNode(), error as JsonObject, {
			message: 'The bridge did not answer',
			description: `${(error as Error).message}. Check the credential’s base URL, and that the bridge is running.`,
		});
	}
}

/** Sends one request and gives back its answer. Throws what `problemOf` makes of a refusal. */
export async function askBridge(caller: Caller, request: BridgeRequest, itemIndex = 0): Promise<IDataObject> {
	const answer = await callBridge(caller, request);
	if (answer.status < 200 || answer.status >= 300) throw problemOf(caller, answer, itemIndex);
	return answer.body;
}

/** Says in the bridge's own words why a request was refused, with the code to branch on. */
export function problemOf(caller: Caller, answer: BridgeAnswer, itemIndex = 0): NodeApiError {
	const { detail, title, code, request_id: requestId } = answer.body;
	const told = [
		code
			? `Code: ${String(code)}`
			: `The answer had the status ${answer.status} and no code: is the base URL that of a bridge?`,
		title && title !== detail ? String(title) : '',
		requestId ? `Request: ${String(requestId)}` : '',
	];
	const error = new NodeApiError(caller.getNode(), answer.body as JsonObject, {
		message: String(detail ?? title ?? `The bridge answered with the status ${answer.status}`),
		description: told.filter(Boolean).join('. '),
		httpCode: String(answer.status),
		itemIndex,
	});
	error.context.data = answer.body;
	return error;
}

function asObject(body: unknown): IDataObject {
	if (typeof body === 'object' && body !== null) return body as IDataObject;
	if (typeof body !== 'string') return {};
	try {
		const read: unknown = JSON.parse(body);
		return typeof read === 'object' && read !== null ? (read as IDataObject) : {};
	} catch {
		return {};
	}
}
