// Devices that are dead or frozen while their connection still stands, and who comes in their place.
import assert from 'node:assert/strict';
import net from 'node:net';
import { deviceProcess } from './lib/device_process.mjs';
import { classes } from './lib/devices.mjs';
import { slowness } from './lib/paths.mjs';
import { scenario } from './lib/scene.mjs';
import { until } from './lib/wait.mjs';
import { HOST, another, get, services, world } from './lib/world.mjs';

const AT_ONCE_MS = 1000 * slowness;

// Live devices must not be taken for dead where all is slow.
const patient = { takeover_probe: '3s' };

const isTakeover = (e) => e.event === 'tunnel_end' && e.fields.why === 'takeover';

// Ten visitors in a row, who must all be answered by `text`, and each at once.
async function assertServedBy(relay, text) {
    for (let i = 0; i < 10; i++) {
        const began = performance.now();
        const { body } = await get({ relay });
        assert.match(body, text);
        assert.ok(performance.now() - began < AT_ONCE_MS, `visitor ${i} waited`);
    }
}

for (const letter of ['A', 'C', 'D', 'G'])
    scenario(`class ${letter}: coming back takes all visitors from its frozen former self`,
        { ms: 60_000 }, async (scene) => {
            const relay = await scene.relay();
            const token = relay.token({ hosts: [HOST] });
            const old = await deviceProcess(scene, letter, { relay, token, text: 'old' });
            assert.match((await get({ relay })).body, /^old /);
            await old.freeze();

            const { http, https } = await services(scene);
            const fresh = await scene.device(classes[letter], {
                port: relay.port, ca: relay.ca, token,
                services: { http: http.port, https: https.port },
            });
            await assertServedBy(relay, /^http /);
            await relay.waitFor(isTakeover);
            old.thaw();
            assert.deepEqual((await old.ask()).violations, []);
            await assertServedBy(relay, /^http /);
            assert.equal(relay.find('tunnel_end').length, 1);
            assert.deepEqual(fresh.violations, []);
        });

scenario('a frozen device is found on another worker too', { ms: 60_000 }, async (scene) => {
    const relay = await scene.relay({ config: patient, args: ['--workers', '2'] });
    const token = relay.token({ hosts: [HOST] });
    const workers = () => relay.find('tunnel_start').map((e) => e.fields.worker);
    const old = await deviceProcess(scene, 'D', { relay, token, text: 'old' });
    await old.freeze();

    const { http, https } = await services(scene);
    const comeBack = () => scene.device(classes.D, {
        relay, token, services: { http: http.port, https: https.port },
    });
    await comeBack();
    while (new Set(workers()).size < 2 && workers().length < 30) await comeBack();
    assert.equal(new Set(workers()).size, 2);
    await assertServedBy(relay, /^http /);
    await relay.waitFor(isTakeover);
    await assertServedBy(relay, /^http /);
    assert.equal(relay.find('tunnel_end').length, 1);
});

scenario('two live replicas share their visitors again once the first has answered', async (scene) => {
    const w = await world(scene, 'D', { config: patient });
    await another(scene, w, 'D', 'again');
    await until(async () => /^http /.test((await get(w)).body), 'a visitor of the first replica');
    const bodies = [];
    for (let i = 0; i < 10; i++) bodies.push((await get(w)).body);
    assert.equal(bodies.filter((b) => /^http /.test(b)).length, 5);
    assert.equal(bodies.filter((b) => /^again /.test(b)).length, 5);
    assert.deepEqual(w.relay.find('tunnel_end'), []);
});

scenario('another subject cannot take the name of a frozen device', async (scene) => {
    const relay = await scene.relay();
    const old = await deviceProcess(scene, 'D', { relay, text: 'old',
        token: relay.token({ hosts: [HOST], sub: 'alice' }) });
    await old.freeze();
    const thief = scene.adopt(new classes.D({ relay,
        token: relay.token({ hosts: [HOST], sub: 'mallory' }) }));
    await assert.rejects(thief.start());
    assert.equal(thief.answers[0].code, 'E_NAME_TAKEN');
    old.thaw();
    await assertServedBy(relay, /^old /);
    assert.deepEqual(relay.find('session_probe'), []);
});

scenario('a token whose only tunnel is frozen gets another one when it asks again',
    { ms: 60_000 }, async (scene) => {
        const relay = await scene.relay({ config: { ...patient, token_tunnels_max: 1 } });
        const token = relay.token({ hosts: [HOST] });
        const old = await deviceProcess(scene, 'D', { relay, token, text: 'old' });
        const { http, https } = await services(scene);
        const comeBack = () => {
            const options = { relay, token, services: { http: http.port, https: https.port } };
            return scene.adopt(new classes.D(options)).start();
        };
        await assert.rejects(comeBack()); // and no harm is done to one that lives
        await until(async () => /^old /.test((await get({ relay })).body), 'a visitor of the old');
        assert.deepEqual(relay.find('tunnel_end').filter(isTakeover), []);
        await old.freeze();
        await until(() => comeBack().then(() => true, () => false), 'the device to be let in');
        await assertServedBy(relay, /^http /);
        assert.equal(relay.find('tunnel_end').filter(isTakeover).length, 1);
    });

// Between a device and the relay: what it is told to swallow never arrives, and nobody is told.
async function cable(scene, port) {
    const sockets = [];
    const server = net.createServer((near) => {
        const far = net.connect(port, '127.0.0.1');
        for (const [from, to] of [[near, far], [far, near]]) {
            sockets.push(from);
            from.on('error', () => {});
            from.on('close', () => to.destroy());
            from.pipe(to);
        }
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    scene.after(() => {
        sockets.forEach((s) => s.destroy());
        server.close();
    });
    const cut = () => sockets.forEach((s) => s.unpipe().on('data', () => {}).resume());
    return { port: server.address().port, cut };
}

scenario('a device whose cable is cut is found by its silence, and may come back', async (scene) => {
    const relay = await scene.relay({ config: { ping_interval: '1s', ping_timeout: '500ms' } });
    const token = relay.token({ hosts: [HOST] });
    const { http, https } = await services(scene);
    const { port, cut } = await cable(scene, relay.port);
    const options = { ca: relay.ca, token, services: { http: http.port, https: https.port } };
    await scene.device(classes.D, { ...options, port });
    assert.equal((await get({ relay })).status, 200);
    cut();
    const end = await relay.waitFor('tunnel_end');
    assert.equal(end.fields.why, 'device_silent');
    assert.equal((await get({ relay })).status, 503);
    await scene.device(classes.D, { ...options, relay });
    await assertServedBy(relay, /^http /);
});
