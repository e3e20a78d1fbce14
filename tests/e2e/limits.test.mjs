// What the configuration bounds, and what nobody may get past it.
import assert from 'node:assert/strict';
import { ClassC, ClassD } from './lib/devices.mjs';
import { freePort } from './lib/relay.mjs';
import { RawWebSocket } from './lib/raw_ws.mjs';
import { slowness } from './lib/paths.mjs';
import { scenario } from './lib/scene.mjs';
import { until, within } from './lib/wait.mjs';
import { HOST, anyTcpPort, get, world } from './lib/world.mjs';
import { Visitor, request } from './lib/visitors.mjs';

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
