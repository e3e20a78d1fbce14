// Devices of every age, each as its clients behaved on the wire:
//
//   ClassA    stunnel 0.8, 0.9 (2016-09 on): token in the URL, packer 1.1, no control, no pause
//   ClassB    stunnel 0.10 (2017-06 on): token in the URL and again by add_token, packer 1.4
//   ClassC    telebit 0.11 to 0.19 (2018-05 on): add_token only, packer 1.4.3
//   ClassD    telebit 0.20 (2018-10 on): as C with the real proxy-packer 2.x
//   ClassG    the Go client (2020 on): eight fields, no control, no flow control
//
// A device serves local ports: options.services = {http, https, tcp: port | {PUBLIC: port},
// hosts: {NAME: {http, https}}}.  TLS for a name goes to the local https port untouched.
import { EventEmitter } from 'node:events';
import net from 'node:net';
import { serverName } from './client_hello.mjs';
import { OriginalReader, Reader, cidOf, writers } from './packers.mjs';
import { Judge } from './rules.mjs';
import { LibraryTransport, RawTransport } from './transports.mjs';
import { deferred, within } from './wait.mjs';

const HIGH_BYTES = 1024 * 1024; // more than this unwritten, and the device says pause
const LOW_BYTES = 128 * 1024;
const LATE_MS = 500; // how long a closing local connection is kept

class Device extends EventEmitter {
    // options: {port, ca, clear, host, token or tokens, services, judge: false, path}
    constructor(options) {
        super();
        const { relay } = options;
        this.options = { host: '127.0.0.1', port: relay?.port, ca: relay?.ca, services: {},
            path: '/', ...options };
        this.tokens = options.tokens ?? [options.token];
        this.traits = this.constructor.traits;
        this.write = writers[this.traits.packer];
        this.violations = [];
        this.onViolation = () => {};
        this.judge = new Judge(this.traits, (why) => this.violation(why));
        this.streams = new Map();
        this.controls = []; // every control message the relay sent
        this.controlTexts = []; // as they came
        this.texts = [];
        this.replies = new Map(); // id -> deferred
        this.grants = [];
        this.opened = 0; // local connections made so far
        this.received = 0; // payload bytes from the relay
        this.sent = 0; // payload bytes to the relay
        this.paused = new Set(); // streams the relay has paused
        this.pauses = { received: 0, sent: 0 };
        this.pings = { received: 0, pongs: 0 };
        this.ready = deferred();
        this.closed = deferred(); // {code, reason} when over; code is undefined without a Close
        this.ready.promise.catch(() => {});
        this.over = false;
    }

    violation(why) {
        if (this.over) return;
        this.violations.push(why);
        this.onViolation(why);
    }

    async start() {
        await this.connect();
        await within(Promise.race([this.ready.promise, this.closed.promise.then((c) => {
            throw new Error(`class ${this.traits.name} was closed: ${c.code} ${c.reason} ` +
                `${this.texts} ${JSON.stringify(this.controls)}`);
        })]), `class ${this.traits.name} to be let in`);
        return this;
    }

    async connect() {
        const t = await this.open();
        this.transport = t;
        this.lastHeard = performance.now();
        let closing = {};
        t.on('message', (data, isText) => this.onMessage(data, isText));
        t.on('ping', () => {
            this.heard();
            this.pings.received++;
        });
        t.on('pong', () => {
            this.heard();
            this.pings.pongs++;
        });
        t.on('close', (code, reason, bytes) => {
            closing = { code, reason, bytes };
            if (!this.over && this.options.judge !== false) this.judge.closed();
        });
        t.on('drain', () => this.onDrain());
        t.on('end', () => {
            clearInterval(this.pinger);
            for (const s of this.streams.values()) s.local.destroy();
            this.closed.resolve(closing);
            this.emit('closed', closing);
        });
        const { Reader: Kind = Reader, zero } = this.traits;
        const onFrame = (f) => this.onFrame(f);
        this.reader = zero ? new Kind(zero, onFrame) : new Kind(onFrame);
        t.listen();
        this.startPinging();
    }

    url(query) {
        const { clear, host, port, path } = this.options;
        return `${clear ? 'ws' : 'wss'}://${host.includes(':') ? `[${host}]` : host}:${port}` +
            `${path}${query}`;
    }

    hostHeader() {
        const { host, port } = this.options;
        return `${host.includes(':') ? `[${host}]` : host}:${port}`;
    }

    // As its age pinged: after `idleMs` without a word, or every `everyMs`; a pong within `waitMs`.
    startPinging() {
        const { idleMs, everyMs, waitMs } = { ...this.traits.ping, ...this.options.ping };
        if (!idleMs && !everyMs) return;
        let asked = 0;
        this.pinger = setInterval(() => {
            const now = performance.now();
            if (asked && this.lastHeard < asked && now - asked > waitMs) {
                this.violation(`class ${this.traits.name}: no pong in ${waitMs} ms`);
                asked = 0;
            } else if (asked && this.lastHeard >= asked) asked = 0;
            const due = everyMs ? now - (this.lastPing ?? 0) >= everyMs
                : now - this.lastHeard >= idleMs;
            if (due && !asked) {
                asked = this.lastPing = now;
                this.transport.ping();
            }
        }, 50).unref();
    }

    heard() {
        this.lastHeard = performance.now();
    }

    onMessage(data, isText) {
        this.heard();
        if (isText) this.texts.push(data.toString());
        if (this.options.judge !== false) this.judge.message(data, isText);
        if (isText) return;
        this.reader.feed(data);
    }

    onFrame(f) {
        switch (f.service) {
        case 'control':
            this.onControl(f);
            break;
        case 'end':
        case 'error':
            this.onEnd(f);
            break;
        case 'pause':
            this.onPause(f);
            break;
        case 'resume':
            this.onResume(f);
            break;
        default:
            this.onData(f);
        }
    }

    onControl(f) {
        const message = JSON.parse(f.body);
        this.controlTexts.push(f.body.toString());
        this.controls.push(message);
        this.emit('control', message);
        const [id, ...rest] = message;
        if (id < 0) this.replies.get(-id)?.resolve(rest[0]);
        else if (id === 0) this.emit('trouble', rest[0]);
        else if (rest[0] === 'hello') this.onHello();
        else if (rest[0] === 'grant') this.onGrant(id, rest[1]);
        else if (rest[0] !== 'access_token') this.unknown(id, rest[0]);
    }

    unknown(id, command) {
        this.sendControl([-id, { message: `unknown command "${command}"`,
            code: 'E_UNKNOWN_COMMAND' }]);
    }

    onGrant(id, grant) {
        this.grants.push(grant);
        this.emit('grant', grant);
    }

    sendControl(list) {
        for (const bytes of this.write.control(list)) this.transport.send(bytes);
        this.judge.sent('control');
    }

    // A command of ours; gives the relay's answer: null, or {message, code}.
    command(name, ...args) {
        const id = Math.ceil(1e9 * Math.random());
        const d = deferred();
        this.replies.set(id, d);
        this.sendControl([id, name, ...args]);
        return within(d.promise, `the answer to ${name}`);
    }

    addToken(token) {
        return this.command('add_token', token);
    }

    deleteToken(token) {
        return this.command('delete_token', token);
    }

    sendFrame(kind, stream, body) {
        for (const bytes of this.write[kind](stream.meta, body)) this.transport.send(bytes);
        this.judge.sent(kind, stream.cid);
    }

    onData(f) {
        this.received += f.body?.length ?? 0;
        const cid = cidOf(f);
        const stream = this.streams.get(cid) ?? this.openLocal(cid, f);
        if (!stream || stream.left || !f.body?.length) return;
        stream.read += f.body.length;
        stream.local.write(f.body);
        this.holdRelay(stream);
    }

    // Which local port a new stream goes to; undefined if none.
    portFor(f) {
        const { services } = this.options;
        const host = services.hosts?.[f.name];
        if (f.service === 'http' || f.service === 'https')
            return host?.[f.service] ?? services[f.service];
        if (f.service !== 'tcp') return undefined;
        return typeof services.tcp === 'object' ? services.tcp[f.serviceport] : services.tcp;
    }

    dial(port) {
        return net.connect({ port, host: '127.0.0.1' });
    }

    openLocal(cid, f) {
        const port = this.portFor(f);
        const { family, address, port: from, service, serviceport, name } = f;
        const meta = { family, address, port: from, service, serviceport, name };
        if (!port) {
            this.sendFrame('error', { meta, cid });
            this.judge.ended(cid);
            return null;
        }
        const local = this.dial(port, f);
        const stream = { cid, meta, local, read: 0, written: 0, left: false, held: false };
        this.streams.set(cid, stream);
        this.opened++;
        local.on('data', (chunk) => this.onLocalData(stream, chunk));
        local.on('drain', () => this.releaseRelay(stream));
        local.on('end', () => this.leave(stream));
        local.on('error', (err) => this.leave(stream, { message: err.message, code: err.code }));
        local.on('close', () => {
            this.leave(stream);
            this.paused.delete(stream);
            if (stream.held) this.releaseRelay(stream);
            if (this.streams.get(cid) === stream) this.streams.delete(cid);
        });
        this.emit('stream', stream);
        return stream;
    }

    onLocalData(stream, chunk) {
        if (stream.left || stream.dropping) return;
        const size = this.traits.bodyMax ?? 65536;
        for (let at = 0; at < chunk.length; at += size)
            this.sendFrame('data', stream, chunk.subarray(at, at + size));
        stream.written += chunk.length;
        this.sent += chunk.length;
        if (this.transport.buffered > HIGH_BYTES && !this.full) {
            this.full = true;
            for (const s of this.streams.values()) s.local.pause();
        }
    }

    onDrain() {
        if (!this.full || this.transport.buffered > LOW_BYTES) return;
        this.full = false;
        for (const s of this.streams.values()) if (!this.paused.has(s)) s.local.resume();
    }

    // Ends a stream towards the relay, once.
    leave(stream, error) {
        if (stream.left) return;
        stream.left = true;
        this.sendFrame(error ? 'error' : 'end', stream, error);
        this.judge.ended(stream.cid);
    }

    // Too much unwritten for the local service.
    holdRelay(stream) {
        if (stream.held || stream.local.writableLength <= HIGH_BYTES) return;
        stream.held = true;
        this.pauses.sent++;
        this.sendFrame('pause', stream, stream.read);
    }

    releaseRelay(stream) {
        if (!stream.held) return;
        stream.held = false;
        if (!stream.left) this.sendFrame('resume', stream, stream.read);
    }

    onPause(f) {
        this.pauses.received++;
        const stream = this.streams.get(cidOf(f));
        if (!stream) return;
        this.paused.add(stream);
        stream.local.pause();
    }

    onResume(f) {
        const stream = this.streams.get(cidOf(f));
        if (!stream || !this.paused.delete(stream)) return;
        if (!this.full) stream.local.resume();
    }

    // The relay has ended a stream: what the local service still says is dropped.
    onEnd(f) {
        const stream = this.streams.get(cidOf(f));
        this.emit('ended', cidOf(f), f.service, f.body?.toString() ?? '');
        if (!stream) return;
        stream.dropping = !this.traits.forwardsAfterEnd;
        if (stream.dropping) stream.local.resume();
        stream.local.end();
        setTimeout(() => stream.local.destroy(), LATE_MS).unref();
    }

    async stop() {
        if (!this.transport || this.over) return;
        this.over = true;
        this.transport.destroy();
        for (const s of this.streams.values()) s.local.destroy();
        await within(this.closed.promise, 'a device to stop');
    }

    // Goes without a word, as when its machine loses power.
    kill() {
        return this.stop();
    }
}

// Token in the URL, Host and SNI read from the payload, control answered as an unknown service.
export class ClassA extends Device {
    static traits = {
        name: 'A', packer: '1.1', zero: 'step-back', takesControl: true, takesFlow: false,
        emptyEnd: false, tcpFirst: false, forwardsAfterEnd: true,
    };

    // ws 1.x: its order of headers, and a key made of the time.
    open() {
        const { host, port, ca, clear, path } = this.options;
        return RawTransport.open({
            host, port, ca, clear, servername: '',
            key: Buffer.from(`13-${Date.now()}`).toString('base64'),
            lines: [
                `GET ${path}?access_token=${this.tokens[0]} HTTP/1.1`,
                'Connection: Upgrade', 'Upgrade: websocket', `Host: ${this.hostHeader()}`,
                'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: {key}',
                'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits',
            ],
            onViolation: (why) => this.violation(`class A: ${why}`),
        });
    }

    // It has no word for control: an unknown service of the connection without an address.
    onControl(f) {
        this.controls.push(JSON.parse(f.body));
        const nobody = { family: '', address: '', port: '' };
        this.sendFrame('error', { meta: nobody, cid: ',,' });
        this.ready.resolve();
    }

    portFor(f) {
        return portByPayload(this.options.services, f);
    }

    // Their bodies would go into the local connection.
    onPause(f) {
        this.streams.get(cidOf(f))?.local.write(f.body);
    }

    onResume(f) {
        this.onPause(f);
    }

    holdRelay() {}

    releaseRelay() {}
}

// The clients before 0.11 looked for the name in the first bytes themselves.
function portByPayload(services, f) {
    const protocol = f.service?.toLowerCase();
    if (protocol === 'tcp')
        return typeof services.tcp === 'object' ? Object.values(services.tcp)[0] : services.tcp;
    if (protocol !== 'http' && protocol !== 'https') return undefined;
    const text = f.body.toString('latin1');
    const name = protocol === 'https' ? serverName(f.body)
        : /(?:^|[\r\n])Host: ([^\r\n]+)/im.exec(text)?.[1]?.toLowerCase().replace(/:.*/, '');
    if (!name) return undefined;
    const wildcard = Object.keys(services.hosts ?? {})
        .filter((h) => h.startsWith('*.') && name.endsWith(h.slice(1)))
        .sort((a, b) => b.length - a.length)[0];
    const host = services.hosts?.[name] ?? services.hosts?.[wildcard];
    return host?.[protocol] ?? services[protocol];
}

export class ClassB extends Device {
    static traits = {
        name: 'B', packer: '1.4', zero: 'next-byte', takesControl: true, takesFlow: true,
        emptyEnd: false, tcpFirst: true, ping: { idleMs: 115_000, waitMs: 10_000 },
    };

    open() {
        return LibraryTransport.open({
            url: this.url(`?access_token=${this.tokens[0]}`), ca: this.options.ca, servername: '',
        });
    }

    // Says its tokens again, then acknowledges the hello.
    async onHello() {
        const answers = [];
        for (const token of this.tokens) answers.push(await this.addToken(token));
        this.sendControl([-1, null]);
        this.answers = answers;
        const refused = answers.find((a) => a !== null);
        if (refused) this.ready.reject(Object.assign(new Error(refused.message), refused));
        else this.ready.resolve();
    }

    onGrant(id, grant) {
        super.onGrant(id, grant);
        this.unknown(id, 'grant');
    }

    portFor(f) {
        return portByPayload(this.options.services, f);
    }
}

export class ClassC extends Device {
    static traits = {
        name: 'C', packer: '1.4.3', zero: 'next-byte', takesControl: true, takesFlow: true,
        emptyEnd: false, tcpFirst: true, ping: { idleMs: 115_000, waitMs: 10_000 },
    };

    open() {
        return LibraryTransport.open({
            url: this.url(''), ca: this.options.ca, servername: '', headers: this.options.headers,
        });
    }

    onHello() {
        const answers = this.tokens.filter(Boolean).map((token) => this.addToken(token));
        this.sendControl([-1, null]);
        Promise.all(answers).then((all) => {
            this.answers = all;
            const refused = all.find((a) => a !== null);
            if (refused) this.ready.reject(Object.assign(new Error(refused.message), refused));
            else if (this.grants.length || !all.length) this.ready.resolve();
            else this.once('grant', () => this.ready.resolve());
        }, (err) => this.ready.reject(err));
    }

    // Without a port and, for http and https, a name in the header it hangs for good.
    portFor(f) {
        const known = ['http', 'https', 'tcp'].includes(f.service);
        if (!known || !f.serviceport || (f.service !== 'tcp' && !f.name))
            this.violation(`class ${this.traits.name}: would hang at ${JSON.stringify(f)}`);
        return super.portFor(f);
    }
}

export class ClassD extends ClassC {
    static traits = {
        name: 'D', packer: '2.0', Reader: OriginalReader, takesControl: true, takesFlow: true,
        emptyEnd: false, tcpFirst: true, ping: { idleMs: 6_000, waitMs: 10_000 },
    };

    // Reads `data` of these without looking: an empty body ends the process.
    onFrame(f) {
        if (['control', 'pause', 'resume'].includes(f.service) && !f.data)
            this.violation(`class D: would crash at an empty ${f.service}`);
        super.onFrame({ ...f, body: f.body ?? Buffer.alloc(0) });
    }

    // Stops reading the WebSocket while a local connection is being made.
    openLocal(cid, f) {
        const stream = super.openLocal(cid, f);
        if (!stream?.local.connecting) return stream;
        this.transport.pause();
        this.connecting = (this.connecting ?? 0) + 1;
        const go = () => {
            stream.local.off('connect', go).off('close', go);
            if (--this.connecting === 0) this.transport.resume();
        };
        stream.local.on('connect', go).on('close', go);
        return stream;
    }
}

export class ClassG extends Device {
    static traits = {
        name: 'G', packer: 'go', zero: 'at-once', takesControl: false, takesFlow: false,
        emptyEnd: true, tcpFirst: false, onePerMessage: true, bodyMax: 8192,
        ping: { everyMs: 15_000, waitMs: 20_000 },
    };

    open() {
        const { host, port, ca, clear } = this.options;
        const [token] = this.tokens;
        return RawTransport.open({
            host, port, ca, clear, servername: '', cut: 4096,
            lines: [
                `GET /ws?access_token=${token}&versions=v1 HTTP/1.1`,
                `Host: ${this.hostHeader()}`, 'User-Agent: Go-http-client/1.1',
                `Authorization: Bearer ${token}`, 'Connection: Upgrade',
                'Sec-WebSocket-Key: {key}', 'Sec-WebSocket-Version: 13', 'Upgrade: websocket',
            ],
            onViolation: (why) => this.violation(`class G: ${why}`),
        });
    }

    // Its only grant is the 101; the relay may still be opening ports.
    async connect() {
        const { relay } = this.options;
        const before = relay ? (await relay.tunnels()).length : 0;
        await super.connect();
        if (relay) await relay.untilTunnels((list) => list.length > before, 'the Go client to be in');
        this.ready.resolve();
    }

    // Control ends the process, and has been judged already.
    onControl() {}

    // No flow control but TCP's: while a local service is slow nothing is read.
    holdRelay(stream) {
        if (stream.held || stream.local.writableLength <= HIGH_BYTES) return;
        stream.held = true;
        this.transport.pause();
    }

    releaseRelay(stream) {
        stream.held = false;
        if (![...this.streams.values()].some((s) => s.held)) this.transport.resume();
    }
}

export const classes = { A: ClassA, B: ClassB, C: ClassC, D: ClassD, G: ClassG };
