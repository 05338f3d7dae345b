// The edge function: one stable address a segment. CloudFront runs it on every viewer request, before its cache.
//
//   /storefront/<segment>    -> /runs/<current run>/segments/<segment>.json
//   /assignments/<shard>     -> /runs/<current run>/assignments/<shard>.json
//   /current.json, /runs/<run>/index.json, /runs/<run>/segments/<id>.json, /runs/<run>/assignments/<id>.json   as they are
//   anything else            -> 404, and the origin never hears of it
//
// The current run is the key `current` of the KeyValueStore: it follows current.json and is never ahead of it (PUB-2).
// Runtime cloudfront-js-2.0: ECMAScript 5.1 with const, let, arrows and async; no spread, for-of, `?.` or `??`. The deploy passes
// this file as a stack parameter: at most 4,096 characters.
import cf from 'cloudfront';

// An id as `domain::ids` allows it: never a path, never percent-encoded.
const ID = '[A-Za-z0-9][A-Za-z0-9._-]{0,127}';
const STABLE = new RegExp('^/(storefront|assignments)/(' + ID + ')$');
const OBJECT = new RegExp('^/(current\\.json|runs/' + ID + '/(index|(segments|assignments)/' + ID + ')\\.json)$');
const RUN = new RegExp('^' + ID + '$');

async function handler(event) {
    const request = event.request;
    // No object depends on the query, and a random one must not get past the cache.
    request.querystring = {};
    if (OBJECT.test(request.uri)) {
        return request;
    }
    const stable = STABLE.exec(request.uri);
    if (!stable) {
        return answer(404, 'Not Found', 'no such page');
    }
    const run = await currentRun();
    if (!run) {
        return answer(503, 'Service Unavailable', 'no run is published');
    }
    const folder = stable[1] === 'storefront' ? 'segments' : 'assignments';
    request.uri = '/runs/' + run + '/' + folder + '/' + stable[2] + '.json';
    return request;
}

// Empty where no run is published, the store does not answer, or what it holds is no run.
async function currentRun() {
    try {
        const run = await cf.kvs().get('current');
        return RUN.test(run) ? run : '';
    } catch (error) {
        console.log('KeyValueStore: ' + error);
        return '';
    }
}

function answer(statusCode, statusDescription, error) {
    return {
        statusCode: statusCode,
        statusDescription: statusDescription,
        headers: { 'content-type': { value: 'application/json' }, 'cache-control': { value: 'no-store' } },
        body: JSON.stringify({ error: error }),
    };
}
