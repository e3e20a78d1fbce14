// The nth allocation, or the nth socket call, of the relay fails, for one n after the other while
// one relay lives through all of them.  What is hit may fail; nothing else may.
//
// RVPN_TORTURE=all tries every n, with RELAYS at once; otherwise 25 of them.  Runs where the build
// has made rvpn-torture.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { ClassD } from './lib/devices.mjs';
import { binary, slowness } from './lib/paths.mjs';
import { freePort } from './lib/relay.mjs';
import { scenario } from './lib/scene.mjs';
import { until, within } from './lib/wait.mjs';
import { echoService } from './lib/services.mjs';
import { HOST, anyTcpPort, services } from './lib/world.mjs';
import { Visitor, request } from './lib/visitors.mjs';

const program = path.join(path.dirname(binary), 'rvpn-torture');
const skip = !existsSync(program);
const all = process.env.RVPN_TORTURE === 'all';
const EVERY = { skip, ms: all ? 3_600_000 : 120_000 };
const RELAYS = all ? 6 : 1; // each tries its share of all n
const SAMPLES = 25;
const MANY = 1e9;
const PATIENCE = 1500 * slowness; // with what has been hit
const BYSTANDER = 'b.example';

// The counters of fault.c.
class Fault {
    constructor(scene) {
        this.file = path.join(scene.folder(), 'fault');
        writeFileSync(this.file, Buffer.alloc(24));
        this.fd = openSync(this.file, 'r+');
        scene.after(() => closeSync(this.fd));
    }

    arm(kind, n) {
        const bytes = Buffer.alloc(24);
        bytes.writeBigInt64LE(BigInt(n), kind === 'memory' ? 0 : 8);
        writeSync(this.fd, bytes, 0, 24, 0);
    }

    read(at) {
        const bytes = Buffer.alloc(8);
        readSync(this.fd, bytes, 0, 8, at);
        return Number(bytes.readBigInt64LE(0));
    }

    // How many calls have failed.
    get failed() {
        return this.read(16);
    }

    // What the counters have come to: those that were armed, and how many calls have failed.
    disarm() {
        const said = { memory: this.read(0), sockets: this.read(8), failed: this.failed };
        this.arm('memory', 0);
        return said;
    }
}

// No pings: the bystander says nothing while somebody else may be hit, and so must never be lost.
const short = { half_close: '1s', visitor_stall: '2s', ping_interval: '1h', ping_timeout: '1s',
    grace: '0s', workers: 2 };

// A device that is connected again when it has been lost, and asked whether it serves.
class Steady {
    constructor(scene, relay, options) {
        Object.assign(this, { scene, relay, options, lost: -1 });
        scene.after(() => this.device?.stop());
    }

    async ready() {
        if (this.device && !this.gone) return;
        this.lost++;
        await until(async () => {
            const device = new ClassD({ relay: this.relay, judge: false, ...this.options });
            this.gone = false;
            device.on('closed', () => (this.gone ||= device === this.device));
            this.device = device;
            return device.start().then(() => true, () => device.stop().then(() => false, () => false));
        }, 'a device to get in');
    }
}

const patient = (promise) => within(promise, 'what was hit', PATIENCE).catch(() => null);

async function cast(scene) {
    const fault = new Fault(scene);
    const served = await services(scene);
    const relay = await scene.relay({ config: { ...anyTcpPort, ...short },
        under: ['env', `RVPN_FAULT_FILE=${fault.file}`], program });
    const local = { http: served.http.port, https: served.https.port, tcp: served.echo.port };
    const tcpPort = await freePort();
    const device = (hosts, ports) => new Steady(scene, relay, {
        token: relay.token({ hosts, ports }), services: local });
    const c = { scene, fault, relay, tcpPort, ...served, local,
        guest: relay.token({ hosts: [HOST] }),
        admin: { Authorization: `Bearer ${relay.adminToken()}` }, bystander: device([BYSTANDER]),
        other: device(['c.example'], [tcpPort]) };
    await c.bystander.ready();
    return c;
}

const ask = (c, host, options = {}) =>
    request({ port: c.relay.port, host, ms: PATIENCE, ...options });

// Everything beside what was hit is as before: its device was not lost, and it is served at once.
async function assertServes(c, n) {
    assert.equal(c.relay.ended, false, `the relay has ended: ${n}`);
    const answer = await ask(c, BYSTANDER, { ms: undefined }).catch((err) => ({ status: err.message }));
    assert.equal(answer.status, 200, `the bystander after ${n}`);
    assert.equal(c.bystander.gone, false, `the bystander's device was lost: ${n}`);
}

// How many calls one run makes that could fail, about: no two runs are alike.
async function measure(c, kind, act) {
    c.fault.arm(kind, MANY);
    await act(c);
    return MANY - c.fault.disarm()[kind];
}

// Every `step`th n from `first` on, until there is no nth call.
async function tryEach(c, kind, act, { first, step, calls }) {
    let hits = 0;
    for (let n = first, hit = 1; n <= calls || (all && hit); n += step) {
        c.fault.arm(kind, n);
        await act(c);
        hit = c.fault.disarm().failed;
        hits += hit;
        await assertServes(c, `${kind} ${n}`);
    }
    return hits;
}

const CRASH = /ERROR: AddressSanitizer|runtime error|Assertion/;
const LEAK = /ERROR: LeakSanitizer/;

async function end(c) {
    c.relay.signal('SIGTERM');
    const { code, signal } = await within(c.relay.exited.promise, 'the relay to end');
    assert.deepEqual([code, signal], [0, null], c.relay.log.slice(-3000));
}

async function tryAll(casts, act, sum) {
    for (const kind of ['memory', 'sockets']) {
        const calls = await measure(casts[0], kind, act);
        const step = all ? RELAYS : Math.ceil(calls / SAMPLES);
        const hits = await Promise.all(casts.map((c, i) =>
            tryEach(c, kind, act, { first: all ? i + 1 : step, step, calls })));
        sum[kind] = calls;
        sum.hit += hits.reduce((a, b) => a + b);
    }
}

// `look` is asked last whether what was to be hit has happened at all.
function torture(name, act, look = async () => {}) {
    scenario(`${name}: any one of its allocations and socket calls may fail`, EVERY, async (scene) => {
        const sum = { memory: 0, sockets: 0, hit: 0 };
        const casts = await Promise.all(Array.from({ length: RELAYS }, () => cast(scene)));
        for (const c of casts) await act(c); // what happens once only
        try {
            await tryAll(casts, act, sum);
            for (const c of casts) await look(c);
            await Promise.all(casts.map(end));
        } finally {
            const count = (text) => casts.filter((c) => text.test(c.relay.log)).length;
            console.log(`${name}: allocations=${sum.memory} socket_calls=${sum.sockets} ` +
                `hit=${sum.hit} crashes=${count(CRASH)} leaks=${count(LEAK)}`);
        }
        assert.ok(sum.hit > 0);
    });
}

torture('a device that comes, and a visitor that asks', async (c) => {
    const device = new ClassD({ relay: c.relay, token: c.guest, services: c.local, judge: false });
    if (await patient(device.start())) await patient(ask(c, HOST));
    await patient(device.stop());
});

async function bulk(c) {
    const visitor = await Visitor.connect({ port: c.tcpPort });
    try {
        visitor.socket.write(Buffer.alloc(2 << 20, 97));
        await visitor.until((text) => text.length >= 2 << 20, 'the echo', PATIENCE);
    } finally {
        visitor.destroy();
    }
}

torture('a visitor with TLS, and one with megabytes', async (c) => {
    await c.other.ready().catch(() => {});
    await Promise.all([patient(ask(c, 'c.example', { ca: c.https.ca })), patient(bulk(c)),
        patient(ask(c, 'c.example'))]);
}, async (c) => {
    const { visitors_moved: moved } = await c.relay.counts();
    assert.ok(moved > 0, 'no visitor has moved to the other worker');
});

// Most allocations are the reload's: when one of them has failed, one page is enough.
torture('a reload, pages, and who is refused', async (c) => {
    const bad = { Authorization: 'Bearer e30.e30.e30', Connection: 'Upgrade', Upgrade: 'websocket',
        'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAAAA==' };
    const page = (path_, headers = {}) => patient(c.relay.fetch(path_, { headers }));
    const says = c.relay.events.length;
    c.relay.signal('SIGHUP');
    await patient(c.relay.waitFor((e) => /^reload/.test(e.event), { from: says }));
    await (c.fault.failed ? page('/') : Promise.all([
        page('/'), page('/api/nothing'), page('/', bad), page('/api/tunnels', c.admin),
        page('/api/relay', c.admin), patient(ask(c, 'nobody.example')),
        patient(ask(c, HOST, { headers: { Host: 'a b' } })),
    ]));
});

// Startup: whatever fails, it says so and ends.
const commands = { serve: ['serve', '--workers', '1'], check: ['check'], token: ['token', '--host', HOST] };
for (const [name, argv] of Object.entries(commands))
    scenario(`${name}: any one of its allocations may fail`, EVERY, async (scene) => {
        const fault = new Fault(scene);
        const taken = await echoService(scene); // so that serve ends once it has nearly started
        if (name === 'serve') argv.push('--listen', `127.0.0.1:${taken.port}`);
        const state = path.join(scene.folder(), 'state');
        const run = () => spawnSync(program, [...argv, '--state', state],
            { env: { ...process.env, RVPN_FAULT_FILE: fault.file,
                RVPN_FAULT_SPARES_CRYPTO: '1' }, timeout: 20_000 });
        run(); // makes the state
        fault.arm('memory', MANY);
        run();
        const calls = MANY - fault.disarm().memory;
        let failed = 0;
        for (let n = 1; n <= calls; n += all ? 1 : Math.ceil(calls / SAMPLES)) {
            fault.arm('memory', n);
            const { status, signal, stderr } = run();
            const hit = fault.disarm().failed;
            assert.equal(signal, null, `${name} ${n}: ${stderr}`);
            assert.doesNotMatch(String(stderr), /Sanitizer|runtime error/, `${name} ${n}`);
            if (!hit || status === 0) continue;
            failed++;
            assert.ok(stderr.length > 0, `${name} ${n} says nothing`);
        }
        assert.ok(failed > 0, `${calls} allocations`);
    });
