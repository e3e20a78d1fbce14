// What the configuration bounds, and what nobody may get past it.
import assert from 'node:assert/strict';
import { ClassA, ClassC, ClassD, ClassG } from './lib/devices.mjs';
import { freePort } from './lib/relay.mjs';
import { RawWebSocket } from './lib/raw_ws.mjs';
import { slowness } from './lib/paths.mjs';
import { scenario } from './lib/scene.mjs';
import { until, within } from './lib/wait.mjs';
import { HOST, another, anyTcpPort, get, getTls, world } from './lib/world.mjs';
import { Visitor, handshake, request } from './lib/visitors.mjs';

scenario('tunnels_max counts the devices of all workers, and not one more', async (scene) => {
    const relay = await scene.relay({ config: { workers: 4, tunnels_max: 5 } });
    const token = relay.token({ hosts: [HOST] });
    const devices = [];
    for (let i = 0; i < 5; i++) devices.push(await scene.device(ClassD, { relay, token }));
    await assert.rejects(scene.device(ClassD, { relay, token }), /503/);
    await devices[0].stop();
    await relay.untilTunnels((list) => list.length === 4, 'the first to be gone');
    await scene.device(ClassD, { relay, token });
});

scenario('visitors_max holds when all of them go to one device', async (scene) => {
    const w = await world(scene, 'D', { config: { workers: 2, visitors_max: 12 } });
    const visitors = [];
    for (let i = 0; i < 30; i++) {
        const visitor = await Visitor.connect({ port: w.relay.port });
        await visitor.write(`GET /hold HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
        visitors.push(visitor);
    }
    const answered = () => visitors.filter((v) => v.text.startsWith('HTTP/1.1 200')).length;
    await until(() => visitors.every((v) => v.ended || v.text.startsWith('HTTP/1.1 200')),
        'all to be served or refused');
    assert.ok(answered() >= 5 && answered() <= 12, `${answered()} visitors`);
    for (const visitor of visitors) visitor.destroy();
    await until(() => get(w).then((a) => a.status === 200, () => false), 'room again');
});

scenario('a clock that may be off is so for the whole life of a token', async (scene) => {
    const w = await world(scene, 'D', {
        config: { token_leeway: '8s' }, claims: { exp: Math.floor(Date.now() / 1000) - 3 },
    });
    const from = performance.now();
    assert.equal((await get(w)).status, 200);
    await within(w.device.closed.promise, 'the end of the token', 12_000);
    assert.ok(performance.now() - from > 2000, `${performance.now() - from} ms`);
});

scenario('giving back tokens that are not there wins no time', async (scene) => {
    const relay = await scene.relay({ config: { auth_timeout: '1s' } });
    const device = scene.adopt(new ClassC({ relay, tokens: [] }));
    await device.connect();
    const timer = setInterval(() => device.command('delete_token', '*').catch(() => {}), 200);
    scene.after(() => clearInterval(timer));
    const from = performance.now();
    await within(device.closed.promise, 'the end of the time', 5000);
    assert.ok(performance.now() - from < 2000 * slowness);
});

scenario('no token opens a port on which the relay itself answers', async (scene) => {
    const relay = await scene.relay({ config: anyTcpPort });
    const other = await freePort();
    const device = await scene.device(ClassD, {
        relay, token: relay.token({ hosts: [HOST], ports: [relay.port, other] }),
    });
    assert.equal((await relay.waitFor('port_open')).fields.port, String(other));
    assert.equal(relay.find('port_refused')[0].fields.port, String(relay.port));
    for (let i = 0; i < 8; i++) assert.equal((await relay.fetch('/')).status, 200);
    await device.stop();
});

scenario('a Go client of 2017 asks without a query', async (scene) => {
    const relay = await scene.relay();
    const ws = await RawWebSocket.open({ port: relay.port, ca: relay.ca, lines: [
        'GET / HTTP/1.1', `Host: 127.0.0.1:${relay.port}`, 'User-Agent: Go-http-client/1.1',
        `Authorization: Bearer ${relay.token({ hosts: [HOST] })}`, 'Connection: Upgrade',
        'Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: {key}',
    ] });
    assert.equal(ws.status, 101);
    ws.destroy();
});

const location = async (w, path, host = HOST) =>
    (await request({ port: w.relay.port, host, path })).headers.location;

scenario('a redirect keeps port, path and query, and is for who can be reached', async (scene) => {
    const w = await world(scene, 'D', { config: { http: 'redirect' } });
    const query = 'q='.padEnd(3000, 'x');
    assert.equal(await location(w, '/a?b=c'), `https://${HOST}/a?b=c`);
    assert.equal(await location(w, '/', `${HOST}:80`), `https://${HOST}/`);
    assert.equal(await location(w, `/p?${query}`, `${HOST}:${w.relay.port}`),
        `https://${HOST}:${w.relay.port}/p?${query}`);
    assert.equal((await get(w, '/'.padEnd(10_000, 'y'))).status, 414);
    assert.equal((await request({ port: w.relay.port, host: 'none.example' })).status, 404);
    await w.device.stop();
    await w.relay.untilTunnels((list) => list.length === 0, 'the device to be gone');
    assert.equal((await get(w)).status, 503);
});

scenario('a page says which methods it has', async (scene) => {
    const relay = await scene.relay();
    const allow = async (path) => (await relay.fetch(path, { method: 'DELETE' })).headers.allow;
    assert.equal(await allow('/'), 'GET, HEAD, POST');
    assert.equal(await allow('/demo.js'), 'GET, HEAD');
});

// A visitor that has got its answer and stays; undefined if it was refused, which it notes in
// `refusals`.
async function hold(w, refusals, localAddress) {
    const visitor = await Visitor.connect({ port: w.relay.port, localAddress });
    await visitor.write(`GET /hold HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
    await until(() => visitor.ended || visitor.text.includes('\r\n\r\n'), 'an answer or the end');
    if (visitor.text.startsWith('HTTP/1.1 200')) return visitor;
    refusals.push(visitor.text);
    visitor.destroy();
    return undefined;
}

async function holdMany(w, count, localAddress) {
    const held = [], refusals = []; // released by a reset, or half-closed streams would stay
    for (let i = 0; i < count; i++) {
        const visitor = await hold(w, refusals, localAddress);
        if (visitor) held.push(visitor);
    }
    return { held, refusals, release: () => held.forEach((v) => v.reset()) };
}

// How a connection of a visitor that says nothing ends: at once, or while it is made.
async function endOf(options) {
    try {
        const visitor = await Visitor.connect(options);
        return (await within(visitor.closed.promise, 'the end'))?.code;
    } catch (err) {
        return err.code;
    }
}

// Until `count` can be held at once again: nothing that has ended is counted any more.
const untilFree = (w, count, localAddress) => until(async () => {
    const { refusals, release } = await holdMany(w, count, localAddress);
    release();
    return refusals.length === 0;
}, `room for ${count} again`);

scenario('an address has so many connections, and is told so in its own protocol', async (scene) => {
    const w = await world(scene, 'D', { tcp: 'echo', config: { address_connections_max: 3 } });
    const localAddress = '127.0.0.2';
    const { held, refusals, release } = await holdMany(w, 4, localAddress);
    assert.equal(held.length, 3);
    assert.match(refusals[0], /^HTTP\/1.1 429 Too Many Requests\r\n/);
    assert.match(refusals[0], /\r\nRetry-After: \d+\r\n/);
    for (const host of [HOST, w.relay.name])
        await assert.rejects(handshake({ port: w.relay.port, host, ca: w.https.ca, localAddress }),
            /alert internal error/);
    assert.equal(await endOf({ port: w.tcpPort, localAddress }), 'ECONNRESET');
    assert.equal((await get(w, '/', { localAddress: '127.0.0.3' })).status, 200);
    const counts = await w.relay.counts();
    assert.ok(counts.refused.address_connections >= 4, JSON.stringify(counts.refused));
    release();
    await untilFree(w, 3, localAddress);
});

scenario('twice as many connections as an address may have are not even looked at', async (scene) => {
    const w = await world(scene, 'D', { config: { address_connections_max: 3 } });
    const localAddress = '127.0.0.2';
    const silent = [];
    for (let i = 0; i < 6; i++)
        silent.push(await Visitor.connect({ port: w.relay.port, localAddress }));
    await until(async () => (await w.relay.counts()).accepted >= 8, 'all to be accepted');
    assert.equal(await endOf({ port: w.relay.port, localAddress }), 'ECONNRESET');
    for (const visitor of silent) visitor.destroy();
    await untilFree(w, 3, localAddress);
});

const MOST = 20;
for (const workers of [1, 2])
    scenario(`a connection is counted until it ends, however it ends, with ${workers} worker(s)`,
        async (scene) => {
            const w = await world(scene, 'D', { tcp: 'echo',
                config: { workers, address_connections_max: MOST, token_streams_max: MOST + 5 } });
            const localAddress = '127.0.0.2';
            for (let i = 0; i < 12; i++) { // half of the raw ones stay for half_close
                assert.equal((await get(w, '/', { localAddress })).status, 200);
                assert.equal((await getTls(w, '/', { localAddress })).status, 200);
                const tcp = await Visitor.connect({ port: w.tcpPort, localAddress });
                await tcp.write('x');
                await tcp.until((text) => text === 'x');
                if (i % 2) tcp.reset();
                else tcp.destroy();
                const silent = await Visitor.connect({ port: w.relay.port, localAddress });
                silent.destroy();
                const other = await request({ port: w.relay.port, host: 'none.example', localAddress });
                assert.equal(other.status, 404);
            }
            if (workers > 1)
                assert.ok((await w.relay.counts()).visitors_moved > 0, 'none has moved');
            await untilFree(w, MOST, localAddress);
            const { refusals, release } = await holdMany(w, MOST + 1, localAddress);
            assert.equal(refusals.length, 1);
            release();
        });

scenario('a token has so many tunnels; each age is told as it understands', async (scene) => {
    const relay = await scene.relay({ config: { workers: 2, token_tunnels_max: 2 } });
    const token = relay.token({ hosts: [HOST], jti: 'one' });
    const first = await scene.device(ClassD, { relay, token });
    await scene.device(ClassC, { relay, token });
    const code = 'E_TOO_MANY_TUNNELS';
    const bare = await scene.device(ClassC, { relay, tokens: [] });
    assert.equal((await bare.addToken(token)).code, code);
    const old = scene.adopt(new ClassA({ relay, token }));
    await old.connect();
    await within(old.closed.promise, 'a refusal');
    assert.equal(JSON.parse(old.texts[0]).error.code, code);
    await assert.rejects(scene.adopt(new ClassG({ relay, token })).connect(), { status: 429 });
    assert.equal((await relay.counts()).refused.token_tunnels, 3);

    const renewed = relay.token({ hosts: [HOST, 'b.example'], jti: 'one' });
    assert.equal(await first.addToken(renewed), null, 'a renewed token needs no room');
    await scene.device(ClassD, { relay, token: relay.token({ hosts: [HOST], jti: 'two' }) });
    await first.stop();
    await until(async () => await bare.addToken(token) === null, 'the place of the first');
});

scenario('a token has so many streams, over all its tunnels', async (scene) => {
    const claims = { jti: 'shared' };
    const w = await world(scene, 'D', { claims, config: { workers: 2, token_streams_max: 4 } });
    await another(scene, w, 'D', 'another', { claims });
    const { held, refusals, release } = await holdMany(w, 6);
    assert.equal(held.length, 4);
    for (const text of refusals) assert.match(text, /^HTTP\/1.1 429 [^]*\r\nRetry-After: /);
    await assert.rejects(getTls(w), /alert internal error/);
    assert.equal((await w.relay.counts()).refused.token_streams, 3);
    release();
    await untilFree(w, 4);
});

scenario('an address has so many handshakes a second; visitors of devices are not counted',
    async (scene) => {
        const w = await world(scene, 'D', { config: { address_handshakes_per_second: 2 } });
        const shake = (localAddress, host = w.relay.name, ca = w.relay.ca) =>
            handshake({ port: w.relay.port, host, ca, localAddress })
                .then((socket) => socket.destroy());
        const many = await Promise.allSettled(Array.from({ length: 30 }, () => shake('127.0.0.2')));
        const refused = many.filter((r) => r.status === 'rejected');
        assert.ok(refused.length > 0 && refused.length <= 28, `${refused.length} refused`);
        for (const { reason } of refused) assert.match(String(reason), /alert internal error/);
        await shake('127.0.0.3');
        await Promise.all(Array.from({ length: 30 }, () =>
            shake('127.0.0.2', HOST, w.https.ca)));
        await until(() => shake('127.0.0.2').then(() => true, () => false), 'a second to pass');
        assert.equal((await w.relay.counts()).refused.address_handshakes >= refused.length, true);
    });
