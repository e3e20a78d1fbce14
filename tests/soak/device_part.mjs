// A process of devices: each answers its visitors out of the pattern, comes back when its tunnel is
// gone, and says what it saw.
//
// from soak.mjs: {what: 'start', seed, tenants, devices, relay},
//     {what: 'kill', device, life}: that one, or any if `life` is missing, {what: 'close', device},
//     {what: 'takeover', device, ms}: a second tunnel now, the first one goes in `ms`,
//     {what: 'totals'}, {what: 'stop'}
// to it: {what: 'up' | 'stopping' | 'down', device, life, at}, {what: 'fault', text, lost, foreign},
//     {what: 'count', received, sent, ...}, {what: 'totals', list}, {what: 'stopped'}
import { EventEmitter } from 'node:events';
import { classes } from '../e2e/lib/devices.mjs';
import { Check, DOWN, Pools, Source, UP } from './pattern.mjs';
import { Random } from './random.mjs';
import { Head, writeAnswer } from './request.mjs';

const CHUNK = 65536;
const TURN = 4; // chunks of one stream before others have theirs
const HELD_BACK = 64; // bytes of an answer that wait for the whole question
const SLOW_MS = 40; // a slow service takes of what waits for it this often,
const SLOW_RATE = 1600; // so many bytes a millisecond, however busy this process is
const SINK_MS = 5000; // a stream that went wrong swallows what comes behind
const BACK_MS = [50, 500]; // a device comes back after so long

const count = { received: 0, sent: 0, whole: 0, cut: 0, open: 0, pauses: 0 };
let pools;
let relay;
const hosts = new Map(); // device -> Host

function fault(text, lost, foreign) {
    process.send({ what: 'fault', text, lost, foreign });
}

// The local service that a stream of a Device goes to: what that class uses of a socket.
class Service extends EventEmitter {
    constructor(owner, frame) {
        super();
        Object.assign(this, { owner, service: frame.service, paused: false, over: false,
            waiting: [], writableLength: 0, pumping: false, connecting: true });
        this.expect();
        count.open++;
        setImmediate(() => {
            this.connecting = false;
            this.emit('connect');
        });
    }

    expect() {
        this.head = new Head(this.service, 'ask', { hello: this.service === 'https' && !this.ask });
        this.check = this.source = null;
    }

    // What the visitor sent.
    write(bytes) {
        if (this.over) return;
        if (!this.ask?.slow) {
            this.take(bytes);
            return;
        }
        this.waiting.push(bytes);
        this.writableLength += bytes.length;
        if (this.timer) return;
        this.taken = performance.now();
        this.timer = setInterval(() => this.takeSlowly(), SLOW_MS);
    }

    takeSlowly() {
        const now = performance.now();
        let room = Math.ceil((now - this.taken) * SLOW_RATE);
        this.taken = now;
        while (room > 0 && this.waiting.length && !this.over) {
            const bytes = this.waiting.shift();
            const due = bytes.subarray(0, room);
            if (due.length < bytes.length) this.waiting.unshift(bytes.subarray(room));
            room -= due.length;
            this.writableLength -= due.length;
            this.take(due);
        }
        if (this.waiting.length) return;
        clearInterval(this.timer);
        this.timer = undefined;
        this.emit('drain');
    }

    take(bytes) {
        if (this.head) {
            const found = this.head.feed(bytes);
            if (!found) return;
            this.head = null;
            if (!this.begin(found.fields)) {
                const text = found.rest.subarray(0, 64).toString('latin1').replace(/[^ -~]/g, '.');
                this.fail(`not a question: ${text}`, 0, found.rest.length);
                return;
            }
            bytes = found.rest;
        }
        if (!bytes.length) {
            this.advance();
            return;
        }
        const due = this.check.left;
        if (bytes.length > due && this.check.whole && !this.ask.last) {
            this.expectBehind(bytes);
            return;
        }
        this.check.feed(bytes);
        count.received += Math.min(bytes.length, due);
        if (this.check.wrong) this.destroyLater();
        else this.advance();
    }

    // A visitor asks again before it has the answer: none of ours does.
    expectBehind(bytes) {
        if (this.source.left) this.fail('a question before the answer', 0, bytes.length);
        else {
            this.expect();
            this.take(bytes);
        }
    }

    begin(ask) {
        if (!ask) return false;
        this.ask = ask;
        if (ask.tenant !== this.owner.spec.tenant) return false;
        const { tenant, stream } = ask;
        this.check = new Check(pools, { tenant, stream, way: UP }, ask.up, (f) =>
            this.fail(f.text, f.lost, f.foreign));
        this.source = new Source(pools, { tenant, stream, way: DOWN }, ask.down);
        this.answered = false;
        return true;
    }

    fail(text, lost, foreign) {
        if (this.over) return;
        fault(`device ${this.owner.spec.device} life ${this.owner.life} (${this.owner.spec.letter}, ` +
            `${this.service}): ${text}`, lost, foreign);
        this.emit('error', new Error('wrong bytes')); // what still comes is for this one, too
        this.stop();
        setTimeout(() => this.emit('close'), SINK_MS).unref();
    }

    // More bytes name a fault better.
    destroyLater() {
        setTimeout(() => {
            this.check.close();
            this.destroy();
        }, 500).unref();
    }

    // Answers as far as the question allows.
    advance() {
        if (this.over || !this.source || (!this.check.whole && !this.ask.both)) return;
        if (!this.answered) {
            this.answered = true;
            const { device, life } = this.owner.name;
            this.emit('data', writeAnswer(this.service, this.ask, { device, life }));
        }
        this.pump();
    }

    get due() {
        return this.source.left - (this.check.whole ? 0 : Math.min(HELD_BACK, this.ask.down));
    }

    pump() {
        if (this.pumping) return;
        for (let n = 0; n < TURN && this.due > 0 && !this.paused && !this.over; n++) {
            const bytes = this.source.next(Math.min(CHUNK, this.due));
            count.sent += bytes.length;
            this.emit('data', bytes);
        }
        if (this.over || this.paused) return;
        if (this.due > 0) {
            this.pumping = true;
            setImmediate(() => {
                this.pumping = false;
                if (!this.over) this.pump();
            });
        } else if (!this.source.left && this.check.whole) this.finish();
    }

    finish() {
        if (this.done) return;
        if (!this.ask.last) {
            this.expect();
            return;
        }
        this.done = true;
        this.emit('end');
        setImmediate(() => this.destroy());
    }

    pause() {
        this.paused = true;
    }

    resume() {
        if (!this.paused) return;
        this.paused = false;
        if (this.source && this.answered) this.pump();
    }

    // The relay has ended the stream.
    end() {
        if (!this.done) setImmediate(() => this.destroy());
    }

    destroy() {
        if (this.over) return;
        this.check?.close();
        if (this.over) return; // it was wrong to its end
        this.stop();
        this.emit('close');
    }

    stop() {
        this.over = true;
        clearInterval(this.timer);
        count.open--;
        count[this.done ? 'whole' : 'cut']++;
    }
}

// A class of Device whose local services are ours.
function serving(Kind) {
    return class extends Kind {
        dial(_, frame) {
            const service = new Service(this, frame);
            if (this.full) service.pause();
            return service;
        }
    };
}

const kinds = Object.fromEntries(Object.entries(classes).map(([k, Kind]) => [k, serving(Kind)]));

// With the time, since a busy machine may read it seconds later.
const tell = (what, device, life) => process.send({ what, device, life, at: Date.now() });

// One device: its tunnel, and the next one when that is gone.
class Host {
    constructor(spec) {
        Object.assign(this, { spec, life: 0, current: null, tunnels: new Set(), stopping: false });
        this.random = new Random(relay.seed, 1000 + spec.device);
    }

    async connect() {
        const life = ++this.life;
        const { letter, clear, port, token } = this.spec;
        const tunnel = new kinds[letter]({ port, ca: clear ? undefined : relay.ca, clear, token,
            services: { http: 1, https: 1, tcp: 1 }, judge: false });
        Object.assign(tunnel, { spec: this.spec, life, name: { device: this.spec.device, life } });
        tunnel.onViolation = (why) => {
            if (!/no pong/.test(why)) fault(`device ${this.spec.device}: ${why}`, 1, 0);
        };
        try {
            await tunnel.start();
        } catch {
            tunnel.stop().catch(() => {});
            this.connectSoon();
            return;
        }
        this.tunnels.add(tunnel);
        this.current = tunnel;
        tell('up', this.spec.device, life);
        tunnel.closed.promise.then(() => {
            this.tunnels.delete(tunnel);
            count.pauses += tunnel.pauses.received + tunnel.pauses.sent;
            tell('down', this.spec.device, life);
            if (this.current === tunnel) this.connectSoon();
        });
    }

    connectSoon() {
        this.current = null;
        if (this.stopping) return;
        setTimeout(() => this.stopping || this.connect(), this.random.between(...BACK_MS));
    }

    async takeover(ms) {
        const old = this.current;
        if (!old) return;
        await this.connect();
        setTimeout(() => this.end(old), ms);
    }

    // Whose visitors fall short from here on, has been told.
    end(tunnel, how = () => tunnel.stop()) {
        if (!this.tunnels.has(tunnel)) return;
        tell('stopping', this.spec.device, tunnel.life);
        how();
    }

    async stop() {
        this.stopping = true;
        await Promise.all([...this.tunnels].map((t) => t.stop()));
    }
}

// What each tunnel that is up has moved since it began.
function totals() {
    return [...hosts.values()].flatMap((host) => [...host.tunnels].map((t) => ({
        device: host.spec.device, life: t.life, received: t.received, sent: t.sent, opened: t.opened,
        open: t.streams.size,
    })));
}

async function onMessage(m) {
    const host = hosts.get(m.device);
    switch (m.what) {
    case 'start':
        pools = new Pools(m.seed, m.tenants);
        relay = { ...m.relay, seed: m.seed };
        for (const spec of m.devices) hosts.set(spec.device, new Host(spec));
        for (const h of hosts.values()) await h.connect();
        break;
    case 'kill':
        if (!m.life || host.current?.life === m.life) host.end(host.current);
        break;
    case 'close':
        host.end(host.current, () => host.current.transport.close(1000, 'soak'));
        break;
    case 'takeover':
        await host.takeover(m.ms);
        break;
    case 'totals':
        process.send({ what: 'totals', list: totals() });
        break;
    case 'stop':
        await Promise.all([...hosts.values()].map((h) => h.stop()));
        process.send({ what: 'stopped' });
        break;
    default:
        throw new Error(`unknown order ${m.what}`);
    }
}

process.on('message', onMessage);
process.on('disconnect', () => process.exit(0));
setInterval(() => process.send({ what: 'count', ...count }), 500);
