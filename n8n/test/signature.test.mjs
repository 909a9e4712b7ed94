import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';

import signature from '../dist/nodes/NumoraBridgeTrigger/signature.js';

const { isSigned, newSecret } = signature;

const NOW = 1_614_265_330;
const BODY = Buffer.from('{"test": 2432232314}');
const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const HEADERS = {
	id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
	timestamp: String(NOW),
	signature: 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
};

test('the example of Standard Webhooks is taken', () => {
	assert.equal(isSigned(SECRET, HEADERS, BODY, NOW), true);
});

test('a secret without the prefix is its own bytes', () => {
	const digest = createHmac('sha256', 'plain secret').update(`${HEADERS.id}.${NOW}.`).update(BODY).digest('base64');
	assert.equal(isSigned('plain secret', { ...HEADERS, signature: `v1,${digest}` }, BODY, NOW), true);
});

test('one good signature among several is enough, while a secret is being changed', () => {
	const several = `v1,${Buffer.alloc(32).toString('base64')} v2,else ${HEADERS.signature}`;
	assert.equal(isSigned(SECRET, { ...HEADERS, signature: several }, BODY, NOW), true);
});

test('clocks may be five minutes apart, and no more', () => {
	assert.equal(isSigned(SECRET, HEADERS, BODY, NOW + 300), true);
	assert.equal(isSigned(SECRET, HEADERS, BODY, NOW - 300), true);
	assert.equal(isSigned(SECRET, HEADERS, BODY, NOW + 301), false);
	assert.equal(isSigned(SECRET, HEADERS, BODY, NOW - 301), false);
});

const forgeries = {
	'another body': [SECRET, HEADERS, Buffer.from('{"test": 2432232315}')],
	'another id': [SECRET, { ...HEADERS, id: 'msg_other' }, BODY],
	'another moment': [SECRET, { ...HEADERS, timestamp: String(NOW + 1) }, BODY],
	'another secret': [newSecret(), HEADERS, BODY],
	'no signature': [SECRET, { ...HEADERS, signature: undefined }, BODY],
	'an empty signature': [SECRET, { ...HEADERS, signature: 'v1,' }, BODY],
	'a signature of another kind': [SECRET, { ...HEADERS, signature: HEADERS.signature.replace('v1,', 'v1a,') }, BODY],
	'a cut signature': [SECRET, { ...HEADERS, signature: HEADERS.signature.slice(0, -8) }, BODY],
	'a moment that is no number': [SECRET, { ...HEADERS, timestamp: 'now' }, BODY],
	'no moment': [SECRET, { ...HEADERS, timestamp: undefined }, BODY],
};

for (const [name, [secret, headers, body]] of Object.entries(forgeries)) {
	test(`${name} is refused`, () => {
		assert.equal(isSigned(secret, headers, body, NOW), false);
	});
}

test('secrets are long and never the same', () => {
	const secrets = new Set(Array.from({ length: 100 }, newSecret));
	assert.equal(secrets.size, 100);
	for (const secret of secrets) {
		assert.equal(Buffer.from(secret.slice('whsec_'.length), 'base64').length, 32);
	}
});
