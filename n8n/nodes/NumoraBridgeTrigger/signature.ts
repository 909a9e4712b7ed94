import { createHmac, randomBytes, timingSafeEqual } from 'crypto';

/** How far the clocks of bridge and n8n may be apart, in seconds. */
const TOLERANCE = 300;

const PREFIX = 'whsec_';

/** Makes a secret as Standard Webhooks writes them. */
export function newSecret(): string {
	return PREFIX + randomBytes(32).toString('base64');
}

function keyOf(secret: string): Buffer {
	return secret.startsWith(PREFIX) ? Buffer.from(secret.slice(PREFIX.length), 'base64') : Buffer.from(secret, 'utf8');
}

export interface SignatureHeaders {
	id?: string;
	/** Unix time in seconds. */
	timestamp?: string;
	/** `v1,<base64>`, several with blanks between while a secret is being changed. */
	signature?: string;
}

/**
 * Tells whether a message was signed with this secret, over its bytes as they came, and lately.
 * `now` is Unix time in seconds.
 */
export function isSigned(secret: string, headers: SignatureHeaders, body: Buffer, now: number): boolean {
	const { id, timestamp, signature } = headers;
	if (!id || !timestamp || !signature || !/^\d{1,12}$/.test(timestamp)) return false;
	if (Math.abs(now - Number(timestamp)) > TOLERANCE) return false;
	const expected = createHmac('sha256', keyOf(secret)).update(`${id}.${timestamp}.`).update(body).digest();
	return signature
		.split(' ')
		.filter((entry) => entry.startsWith('v1,'))
		.map((entry) => Buffer.from(entry.slice('v1,'.length), 'base64'))
		.some((given) => given.length === expected.length && timingSafeEqual(given, expected));
}
