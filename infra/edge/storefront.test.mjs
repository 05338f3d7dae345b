// Unit tests of the edge function: `node --test infra/edge`. The function is compiled as CloudFront gets it, with a KeyValueStore of
// the test's in place of the module `cloudfront`.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import vm from 'node:vm';

const SOURCE = readFileSync(new URL('./storefront.js', import.meta.url), 'utf8');
const RUN = '2017-11-20-0123456789ab';

// `store` is a map of keys, or an error that every read throws.
function edge(store) {
    const reads = [];
    const kvs = () => ({
        get: async (key) => {
            reads.push(key);
            if (store instanceof Error) throw store;
            if (!(key in store)) throw new Error('KeyNotFound'); // what the runtime does
            return store[key];
        },
    });
    const body = SOURCE.replace("import cf from 'cloudfront';", '');
    const sandbox = { cf: { kvs }, console: { log() {} } };
    vm.runInNewContext(`${body}\n;globalThis.handler = handler;`, sandbox);
    return {
        reads,
        get: (uri, querystring = {}) =>
            sandbox.handler({ version: '1.0', request: { method: 'GET', uri, querystring, headers: {}, cookies: {} } }),
    };
}

test('a segment resolves to the current run', async () => {
    const { get, reads } = edge({ current: RUN });
    assert.equal((await get('/storefront/seg-001')).uri, `/runs/${RUN}/segments/seg-001.json`);
    assert.equal((await get('/storefront/A.b_c-9')).uri, `/runs/${RUN}/segments/A.b_c-9.json`);
    assert.equal((await get(`/storefront/${'x'.repeat(128)}`)).uri, `/runs/${RUN}/segments/${'x'.repeat(128)}.json`);
    assert.deepEqual(reads, ['current', 'current', 'current']);
});

test('a shard of the assignments resolves to the current run', async () => {
    const { get } = edge({ current: RUN });
    assert.equal((await get('/assignments/07-9f3c')).uri, `/runs/${RUN}/assignments/07-9f3c.json`);
});

test('each request asks anew, so a rollback is followed at once', async () => {
    const store = { current: RUN };
    const { get } = edge(store);
    await get('/storefront/a');
    store.current = '2017-11-19-ffffffffffff';
    assert.equal((await get('/storefront/a')).uri, '/runs/2017-11-19-ffffffffffff/segments/a.json');
});

test('published objects pass through unread', async () => {
    const { get, reads } = edge({ current: RUN });
    for (const uri of ['/current.json', `/runs/${RUN}/index.json`, `/runs/${RUN}/segments/a.json`, `/runs/${RUN}/assignments/0.json`]) {
        assert.equal((await get(uri)).uri, uri);
    }
    assert.deepEqual(reads, []);
});

test('everything else is 404 and never reaches the origin', async () => {
    const { get, reads } = edge({ current: RUN });
    const paths = [
        '', '/', '/index.html', '/favicon.ico', '/CURRENT.json', '/current.json/', '//current.json', '/current.json%00', '/currentXjson',
        '/storefront', '/storefront/', '/storefront//a', '/storefront/a/', '/storefront/a/b', '/Storefront/a', '/storefront/..',
        '/storefront/.', '/storefront/.hidden', '/storefront/-a', '/storefront/_a', '/storefront/../current.json',
        '/storefront/..%2fcurrent.json', '/storefront/%2e%2e', '/storefront/a%2fb', '/storefront/a%20b', '/storefront/a b',
        '/storefront/a\\b', '/storefront/a\nb', '/storefront/a\n', '/storefront/\u00e4', '/storefront/a;b', '/storefront/a?b',
        '/storefront/<script>', `/storefront/${'x'.repeat(129)}`, '/assignments/', '/assignments/../segments/a', '/storefront/a\0',
        '/runs', '/runs/', `/runs/${RUN}`, `/runs/${RUN}/`, `/runs/${RUN}/report.json`, `/runs/${RUN}/segments/`,
        `/runs/${RUN}/segments/a`, `/runs/${RUN}/segments/../index.json`, `/runs/${RUN}/segments/.json`, `/runs/../${RUN}/index.json`,
        '/runs//index.json', `/runs/${RUN}/work/a.json`, `/work/runs/${RUN}/plan.json`,
    ];
    for (const uri of paths) {
        const answer = await get(uri);
        assert.equal(answer.statusCode, 404, JSON.stringify(uri));
        assert.equal(answer.uri, undefined, JSON.stringify(uri));
        assert.equal(answer.headers['cache-control'].value, 'no-store');
    }
    assert.deepEqual(reads, []);
});

test('the query string is dropped: it must not get past the cache', async () => {
    const { get } = edge({ current: RUN });
    for (const uri of ['/current.json', '/storefront/a']) {
        // The object comes out of another context, whose {} is not this one's.
        assert.deepEqual(JSON.stringify((await get(uri, { bust: { value: '1' } })).querystring), '{}');
    }
});

test('without a run, or with something else in its place, the answer is 503', async () => {
    for (const store of [{}, { current: '' }, { current: '../other' }, { current: 'a/b' }, { current: 'a b' }, new Error('down')]) {
        const answer = await edge(store).get('/storefront/a');
        assert.equal(answer.statusCode, 503);
        assert.equal(JSON.parse(answer.body).error, 'no run is published');
        // The pointer is an object of the bucket and needs no KeyValueStore.
        assert.equal((await edge(store).get('/current.json')).uri, '/current.json');
    }
});

test('the source keeps to what cloudfront-js-2.0 runs', () => {
    assert.ok(SOURCE.length <= 4096, 'a stack parameter holds 4,096 characters');
    assert.match(SOURCE, /^[\x20-\x7e\n]*$/, 'ASCII only, so that characters are bytes');
    const code = SOURCE.replace(/'[^'\n]*'/g, "''").replace(/^\s*\/\/.*$/gm, '').replace(/\s\/\/.*$/gm, '');
    const lacking = {
        class: /\bclass\b/, 'for-of': /\bof\b/, spread: /\.\.\./, 'optional chaining': /\?\./, 'nullish operator': /\?\?/,
        destructuring: /\b(const|let|var)\s*[[{]/, generator: /\byield\b|function\s*\*/, 'default parameter': /\([^()]*=[^()>]*\)\s*(=>|\{)/,
        'dynamic code': /\beval\b|\bFunction\(/, 'shorthand property': /\{\s*\w+\s*[,}]/, timer: /\bset(Timeout|Interval)\b/,
        'promise combinator': /\bPromise\b|\.then\(/, 'async arrow': /async\s*\(/,
    };
    for (const [name, pattern] of Object.entries(lacking)) {
        assert.doesNotMatch(code, pattern, `${name} is not in the runtime`);
    }
    assert.deepEqual(SOURCE.match(/^import .*$/gm), ["import cf from 'cloudfront';"]);
});
