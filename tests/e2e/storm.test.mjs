// Everybody comes at once: handshakes wait their turn, nobody is refused for that, and nothing is
// left of it.  The large version is bench/storm.mjs.
import assert from 'node:assert/strict';
import tls from 'node:tls';
import { ClassC } from './lib/devices.mjs';
import { slowness } from './lib/paths.mjs';
import { scenario } from './lib/scene.mjs';
import { deferred, until, within } from './lib/wait.mjs';
import { HOST, get, getTls, world } from './lib/world.mjs';
import { handshake } from './lib/visitors.mjs';

const DEVICES = 100;
const RATE = 100; // handshakes a second

scenario('devices that all come back at once wait their turn, and none is refused',
    { ms: 40_000 }, async (scene) => {
        const relay = await scene.relay({ config: { workers: 2, handshakes_per_second: RATE } });
        const tokens = Array.from({ length: DEVICES }, (_, i) =>
            relay.token({ hosts: [`d${i}.example`] }));
        let rss;
        for (let storm = 0; storm < 3; storm++) {
            const from = performance.now();
            const devices = await Promise.all(tokens.map((token) =>
                scene.device(ClassC, { relay, token })));
            const ms = performance.now() - from;
            // Each worker begins a tenth of a second's worth at once; the rest come at the rate.
            const least = (DEVICES - RATE / 5) / RATE * 1000;
            assert.ok(ms > least * 0.9, `all were in after ${ms} ms, sooner than ${least}`);
            const counts = await relay.counts();
            assert.equal(counts.tunnels, DEVICES);
            assert.ok(counts.handshakes_waited > DEVICES / 2, JSON.stringify(counts));
            assert.equal(counts.handshakes_waiting, 0);
            for (const [why, times] of Object.entries(counts.refused)) assert.equal(times, 0, why);
            for (const device of devices) device.transport.destroy();
            await relay.untilTunnels((list) => list.length === 0, 'all to be gone');
            rss ??= relay.rss();
        }
        assert.ok(relay.rss() - rss < 4 << 20, `${relay.rss() - rss} bytes more than after the first`);
        await relay.waitFor('handshakes_flow');
        const waits = relay.find('handshakes_wait').length;
        assert.ok(waits >= 2 && waits <= 6 + 2 * slowness, `${waits} lines of ${3 * DEVICES}`);
    });

scenario('a visitor of a device does not wait while others do', async (scene) => {
    const w = await world(scene, 'D', { config: { workers: 1, handshakes_per_second: 1 } });
    const waiting = [];
    for (let i = 0; i < 10; i++) {
        const socket = tls.connect({ port: w.relay.port, host: '127.0.0.1', ca: w.relay.ca,
            servername: w.relay.name });
        socket.on('error', () => {});
        scene.after(() => socket.destroy());
        waiting.push(socket);
    }
    await until(() => w.relay.find('handshakes_wait').length, 'a crowd');
    const from = performance.now();
    for (let i = 0; i < 5; i++) {
        assert.equal((await get(w)).status, 200);
        assert.equal((await getTls(w)).status, 200);
    }
    assert.ok(performance.now() - from < 3000 * slowness);
    for (const socket of waiting) socket.destroy();
    assert.equal((await w.relay.waitFor('handshakes_flow')).fields.refused, '0');
});

scenario('who would wait too long is told so by an alert', async (scene) => {
    const relay = await scene.relay({
        config: { workers: 1, handshakes_per_second: 1, handshakes_pending: 2 },
    });
    const shakes = await Promise.allSettled(Array.from({ length: 8 }, () =>
        handshake({ port: relay.port, host: relay.name, ca: relay.ca }).then((s) => s.destroy())));
    const refused = shakes.filter((s) => s.status === 'rejected');
    assert.ok(refused.length >= 2 && refused.length <= 5, `${refused.length} refused`);
    for (const { reason } of refused) assert.match(String(reason), /alert internal error/);
    const flow = await relay.waitFor('handshakes_flow');
    assert.equal(Number(flow.fields.refused), refused.length);
    assert.equal((await relay.counts()).refused.handshakes_pending, refused.length);
});

scenario('who has waited as long as one may is told so by an alert',
    async (scene) => {
        const relay = await scene.relay({
            config: { workers: 1, handshakes_per_second: 1, handshake_wait: '500ms' },
        });
        const shakes = await Promise.allSettled(Array.from({ length: 6 }, () =>
            handshake({ port: relay.port, host: relay.name, ca: relay.ca }).then((s) => s.destroy())));
        const refused = shakes.filter((s) => s.status === 'rejected');
        assert.ok(refused.length >= 3, `${refused.length} refused`);
    });

for (const version of ['TLSv1.2', 'TLSv1.3'])
    scenario(`a ticket of ${version} is good on every worker`, async (scene) => {
        const relay = await scene.relay({ config: { workers: 2 } });
        const connect = async (session) => {
            const ticket = deferred();
            const socket = await handshake({ port: relay.port, host: relay.name, ca: relay.ca,
                minVersion: version, maxVersion: version, session });
            socket.on('session', ticket.resolve);
            if (version === 'TLSv1.2') ticket.resolve(socket.getSession());
            socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n'); // 1.3 sends tickets behind it
            const next = session ?? await within(ticket.promise, 'a ticket');
            const reused = socket.isSessionReused();
            socket.destroy();
            return { next, reused };
        };
        const { next } = await connect();
        for (let i = 0; i < 12; i++) assert.ok((await connect(next)).reused, `connection ${i}`);
        await until(async () => (await relay.counts()).handshakes_resumed >= 12, 'the count');
    });
