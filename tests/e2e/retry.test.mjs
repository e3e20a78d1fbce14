// A device that goes before it has answered: its visitors are given to another one, once, if that
// cannot do a thing twice.
import assert from 'node:assert/strict';
import { classes } from './lib/devices.mjs';
import { deviceProcess } from './lib/device_process.mjs';
import { BANNER, httpService, manualService } from './lib/services.mjs';
import { scenario } from './lib/scene.mjs';
import { until, within } from './lib/wait.mjs';
import { HOST, LETTERS, get, getTls, world } from './lib/world.mjs';
import { Visitor, handshake } from './lib/visitors.mjs';

// One more device of a.example, with services of its own that take requests and answer nothing.
// The newest device gets the next visitor.
async function muteDevice(scene, w, letter = 'D', { ports } = {}) {
    const [http, silent] = [await httpService(scene, 'mute'), await manualService(scene)];
    http.mute = true;
    const device = await scene.device(classes[letter], {
        relay: w.relay, token: w.relay.token({ hosts: [HOST], ports }), judge: false,
        services: { http: http.port, https: silent.port, tcp: silent.port },
    });
    return { device, http, silent };
}

const retries = (w) => w.relay.find('visitor_retried').length;

const deaths = {
    'cuts its connection': (device) => device.transport.destroy(),
    'closes its WebSocket in order': (device) => device.transport.close(1000),
};

for (const [how, die] of Object.entries(deaths))
    for (const [service, ask] of [['http', get], ['https', getTls]])
        scenario(`${service}: a device ${how} before its answer, and another one gives it`,
            async (scene) => {
                const w = await world(scene, 'D');
                const mute = await muteDevice(scene, w);
                const answer = ask(w, '/x');
                await until(() => mute.device.received > 0, 'the request');
                die(mute.device);
                assert.equal((await answer).body, `${service} GET /x host=${HOST}`);
                assert.equal(retries(w), 1);
            });

for (const letter of LETTERS.filter((l) => l !== 'D'))
    scenario(`class ${letter}: its visitors are retried as well`, async (scene) => {
        const w = await world(scene, 'D');
        const mute = await muteDevice(scene, w, letter);
        const answers = [get(w, '/x'), getTls(w, '/y')];
        await until(() => mute.http.requests.length || mute.device.received > 0, 'a request');
        mute.device.transport.destroy();
        for (const answer of answers) assert.equal((await answer).status, 200);
    });

scenario('a device process is killed before its answers, and another one gives them all',
    async (scene) => {
        const w = await world(scene, 'D', { config: { workers: 2 } });
        const dying = await deviceProcess(scene, 'D', { relay: w.relay, hosts: [HOST], mute: true });
        const answers = Array.from({ length: 20 }, (_, i) => (i % 2 ? get : getTls)(w, `/n/${i}`));
        await until(async () => (await dying.ask()).received > 1000, 'some requests');
        dying.child.kill('SIGKILL');
        const bodies = (await Promise.all(answers)).map((a) => a.body);
        bodies.forEach((body, i) => assert.match(body, new RegExp(`^https? GET /n/${i} `)));
        assert.ok(retries(w) > 0);
        assert.equal(retries(w), new Set(w.relay.find('visitor_retried')
            .map((e) => e.fields.visitor)).size);
    });

// Which worker a device gets is the kernel's choice.
async function muteDeviceElsewhere(scene, w, letter) {
    const [{ id, worker }] = await w.relay.tunnels();
    for (let i = 0; i < 50; i++) {
        const mute = await muteDevice(scene, w, letter);
        const other = (await w.relay.tunnels()).find((t) => t.id !== id);
        if (other.worker !== worker) return mute;
        await mute.device.stop();
        await w.relay.untilTunnels((list) => list.length === 1, 'the device to be gone');
    }
    throw new Error('the kernel gives all devices to one worker');
}

for (const workers of [1, 2])
    scenario(`a request and its FIN reach the other device, ${workers} worker${workers > 1 ? 's' : ''}`,
        async (scene) => {
            const w = await world(scene, 'D', { config: { workers, half_close: '10s' } });
            const mute = workers > 1 ? await muteDeviceElsewhere(scene, w, 'C')
                : await muteDevice(scene, w, 'C');
            const visitor = await Visitor.connect({ port: w.relay.port });
            visitor.socket.end(`GET /half HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\n\r\n`);
            const secure = getTls(w, '/tls');
            await until(() => mute.http.requests.length === 1, 'the request');
            mute.device.transport.destroy();
            assert.match(await visitor.end(), / GET \/half /);
            assert.equal((await secure).status, 200);
            assert.equal(visitor.error, undefined);
        });

scenario('a POST that has left is not repeated; a PUT is, with all of its body', async (scene) => {
    const w = await world(scene, 'D');
    const body = Buffer.alloc(10_000, 'x');
    for (const [method, status] of [['POST', 502], ['PATCH', 502], ['PUT', 200]]) {
        const mute = await muteDevice(scene, w);
        const answer = get(w, '/upload', { method, body });
        await until(() => mute.device.received > body.length, 'the request');
        mute.device.transport.destroy();
        assert.equal((await answer).status, status, method);
        if (method === 'PUT') assert.equal(JSON.parse((await answer).body).bytes, body.length);
        await w.relay.untilTunnels((list) => list.length === 1, 'the device to be gone');
    }
    assert.deepEqual(w.http.requests.map((r) => r.method), ['PUT']);
    assert.equal(retries(w), 1);
});

scenario('who has sent more than is held is not retried', async (scene) => {
    const w = await world(scene, 'D');
    const mute = await muteDevice(scene, w);
    const answer = get(w, '/upload', { method: 'PUT', body: Buffer.alloc(100_000) });
    await until(() => mute.device.received > 100_000, 'the request');
    mute.device.transport.destroy();
    assert.equal((await answer).status, 502);
    assert.equal(retries(w), 0);
});

scenario('nobody is retried twice', async (scene) => {
    const w = await world(scene, 'D');
    const mutes = [w, await muteDevice(scene, w), await muteDevice(scene, w)];
    w.http.mute = true;
    w.device.options.judge = false;
    const visitor = await Visitor.connect({ port: w.relay.port });
    await visitor.write(`GET /x HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
    for (let tries = 0; tries < 2; tries++) {
        const at = await until(() => mutes.findIndex((m) => m.http.requests.length) + 1, 'the request');
        assert.equal(visitor.text, '');
        mutes.splice(at - 1, 1)[0].device.transport.destroy();
    }
    assert.match(await visitor.end(), /^HTTP\/1\.1 502 /);
    assert.equal(retries(w), 1);
    assert.equal(mutes[0].http.requests.length, 0);
});

scenario('who has lost a device and finds the other one full gets 502 as well', async (scene) => {
    const w = await world(scene, 'D', { config: { streams_max: 1 } });
    const first = await Visitor.connect({ port: w.relay.port });
    await first.write(`GET /hold HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
    await first.until((text) => text.includes('\r\n\r\n'), 'the beginning of the answer');
    const mute = await muteDevice(scene, w);
    const answer = get(w, '/x');
    await until(() => mute.http.requests.length === 1, 'the request');
    mute.device.transport.destroy();
    assert.equal((await answer).status, 502);
    assert.equal((await w.relay.waitFor('visitor_refused')).fields.why, 'device_full');
    first.destroy();
});

scenario('a cut answer is seen as cut, and not asked for again', async (scene) => {
    const w = await world(scene, 'D');
    const mute = await muteDevice(scene, w);
    mute.http.mute = false;
    const visitor = await Visitor.connect({ port: w.relay.port });
    await visitor.write(`GET /hold HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
    await visitor.until((text) => text.includes('\r\n\r\n'), 'the beginning of the answer');
    mute.device.transport.destroy();
    await visitor.end();
    assert.equal(visitor.error?.code, 'ECONNRESET');
    assert.equal(retries(w), 0);
    assert.equal(w.http.requests.length, 0);
});

scenario('with nobody left http gets 502, TLS a reset', async (scene) => {
    const w = await world(scene, 'D');
    const mute = await muteDevice(scene, w);
    await w.device.stop();
    await w.relay.untilTunnels((list) => list.length === 1, 'the first device to be gone');
    const [plain, secure] = [get(w, '/x'),
        assert.rejects(handshake({ port: w.relay.port, host: HOST }), { code: 'ECONNRESET' })];
    await until(() => mute.device.opened === 2, 'both visitors');
    mute.device.transport.destroy();
    assert.equal((await plain).status, 502);
    await secure;
});

scenario('raw TCP is retried until the visitor has spoken', async (scene) => {
    const w = await world(scene, 'C', { tcp: 'banner', config: { workers: 2 } });
    for (const speaks of [false, true]) {
        const mute = await muteDevice(scene, w, 'C', { ports: [w.tcpPort] });
        const visitor = await Visitor.connect({ port: w.tcpPort });
        if (speaks) await visitor.write('hello\n');
        await within(mute.silent.accepted(), 'the visitor');
        mute.device.transport.destroy();
        if (speaks) {
            await visitor.end();
            assert.equal(visitor.error?.code, 'ECONNRESET');
        } else {
            await visitor.until((text) => text === BANNER, 'the banner of the other');
            visitor.destroy();
        }
        await w.relay.untilTunnels((list) => list.length === 1, 'the device to be gone');
    }
    assert.equal(retries(w), 1);
});
