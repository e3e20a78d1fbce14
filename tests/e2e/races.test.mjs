// What comes in the middle of something else: a reload inside a handshake, an end beside a
// beginning, a drain under a device that changes its mind.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { freePort } from './lib/relay.mjs';
import { scenario } from './lib/scene.mjs';
import { until, within } from './lib/wait.mjs';
import { another, get, world } from './lib/world.mjs';
import { Visitor } from './lib/visitors.mjs';

const u16 = (n) => Buffer.from([n >> 8, n & 255]);
const sized = (bytes) => Buffer.concat([u16(bytes.length), bytes]);
const extension = (type, body) => Buffer.concat([u16(type), sized(body)]);

// A TLS 1.3 ClientHello for `name` with `share` as its only X25519 key, or with none: then the relay
// has to ask for one (RFC 8446 4.1.4), and the handshake has a middle.
function clientHello(name, share) {
    const extensions = Buffer.concat([
        extension(0, sized(Buffer.concat([Buffer.from([0]), sized(Buffer.from(name))]))),
        extension(10, sized(u16(0x001d))), // groups: X25519
        extension(13, sized(Buffer.concat([0x0403, 0x0804, 0x0401].map(u16)))),
        extension(43, Buffer.from([2, 3, 4])), // TLS 1.3
        extension(51, sized(share ? Buffer.concat([u16(0x001d), sized(share)]) : Buffer.alloc(0))),
    ]);
    const body = Buffer.concat([u16(0x0303), Buffer.alloc(32, 7), Buffer.from([0]),
        sized(u16(0x1301)), Buffer.from([1, 0]), sized(extensions)]);
    const message = Buffer.concat([Buffer.from([1, 0]), sized(body)]);
    return Buffer.concat([Buffer.from([22, 3, 1]), sized(message)]);
}

async function reload(relay) {
    const from = relay.events.length;
    relay.signal('SIGHUP');
    await relay.waitFor('reloaded', { from });
    assert.equal((await relay.fetch('/')).status, 200);
}

scenario('a reload in the middle of a handshake does not end it', async (scene) => {
    const relay = await scene.relay();
    const visitor = await Visitor.connect({ port: relay.port });
    await visitor.write(clientHello(relay.name));
    await visitor.until((text) => text.length > 5, 'the request for a key');
    await reload(relay);
    await reload(relay);
    const before = visitor.received.length;
    // 9 is the base point of X25519: a key like any other.
    await visitor.write(clientHello(relay.name, Buffer.from([9, ...Buffer.alloc(31)])));
    await visitor.until((text) => text.length > before + 500, 'the rest of the handshake');
    assert.equal(visitor.received[before], 22, 'a ServerHello');
    visitor.destroy();
});

async function halt(relay) {
    relay.signal('SIGSTOP');
    const state = () => readFileSync(`/proc/${relay.process.pid}/stat`, 'utf8').split(') ')[1][0];
    await until(() => state() === 'T', 'the relay to be stopped');
}

scenario('a device leaves in the moment in which a visitor comes to its port', async (scene) => {
    const w = await world(scene, 'D', { tcp: 'echo', config: { workers: 1 } });
    for (let round = 0; round < 5; round++) {
        const port = await freePort();
        const b = await another(scene, w, 'D', 'second', { claims: { ports: [port] } });
        await halt(w.relay); // both wait for it then, and it wakes up to both at once
        b.device.transport.ws._socket.destroy();
        await within(b.device.closed.promise, 'the end of the device');
        const visitors = await Promise.all([1, 2, 3].map(() => Visitor.connect({ port })));
        w.relay.signal('SIGCONT');
        for (const visitor of visitors) await visitor.end();
    }
    assert.equal((await get(w)).status, 200);
});

// The last stream ends with the name that is given back, and with it, in a drain, the tunnel.
for (const what of ['all its tokens', 'one of its tokens'])
    scenario(`a device gives back ${what} during a drain`, async (scene) => {
        const w = await world(scene, 'C', { config: { grace: '20s' } });
        const last = w.relay.token({ hosts: ['c.example'] });
        for (const token of [w.relay.token({ hosts: ['b.example'] }), last])
            await w.device.command('add_token', token);
        const visitor = await Visitor.connect({ port: w.relay.port });
        await visitor.write('GET /hold HTTP/1.1\r\nHost: c.example\r\n\r\n');
        await visitor.until((text) => text.includes('\r\n\r\n'), 'the held answer');
        w.relay.signal('SIGTERM');
        await w.relay.waitFor('draining');
        w.device.command('delete_token', what.startsWith('all') ? '*' : last).catch(() => {});
        assert.equal((await within(w.device.closed.promise, 'the close')).code, 1001);
        assert.equal((await within(w.relay.exited.promise, 'the exit')).code, 0);
    });
