// The relay under test as a process: started on free ports, watched through its log.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import jwt from 'jsonwebtoken';
import { binary, measurable, slowness } from './paths.mjs';
import { deferred, until, within, DEADLINE_MS } from './wait.mjs';

const LINE = /^(\S+) (error|warn|info|debug) (\S+)(.*)$/;
const FIELD = /([A-Za-z0-9_.]+)=("(?:[^"\\]|\\.)*"|\S*)/g;

export function parseLogLine(line) {
    const m = LINE.exec(line);
    if (!m) return { event: '', level: '', fields: {}, line };
    const fields = {};
    for (const [, key, value] of m[4].matchAll(FIELD))
        fields[key] = value.startsWith('"') ? JSON.parse(value) : value;
    return { time: m[1], level: m[2], event: m[3], fields, line };
}

// YAML by hand: the tests need scalars and lists of scalars or of flat maps only.
function yaml(config) {
    const scalar = (v) => JSON.stringify(v);
    const lines = [];
    for (const [key, value] of Object.entries(config)) {
        if (!Array.isArray(value)) {
            lines.push(`${key}: ${scalar(value)}`);
            continue;
        }
        lines.push(`${key}:`);
        for (const item of value) {
            if (typeof item !== 'object') lines.push(`  - ${scalar(item)}`);
            else
                Object.entries(item).forEach(([k, v], i) =>
                    lines.push(`  ${i ? ' ' : '-'} ${k}: ${scalar(v)}`));
        }
    }
    return lines.join('\n') + '\n';
}

export async function freePort(host = '127.0.0.1') {
    const server = net.createServer();
    await new Promise((resolve, reject) => {
        server.on('error', reject);
        server.listen(0, host, resolve);
    });
    const { port } = server.address();
    await new Promise((resolve) => server.close(resolve));
    return port;
}

export class Relay {
    // Starts one for `scene`, which stops it.  `config` becomes a YAML file, `args` come after the
    // tests' usual flags.
    // `under` is a command that runs it, such as prlimit; `program` another build of it.
    static async start(scene, { config = {}, args = [], listen = ['127.0.0.1:0'],
        name = 'relay.test', folder = scene.folder(), under = [],
        program = binary } = {}) {
        const relay = new this();
        relay.name = name;
        relay.folder = folder;
        relay.under = under;
        relay.program = program;
        relay.state = path.join(folder, 'state');
        relay.configFile = path.join(folder, 'rvpn.yaml');
        scene.relays.push(relay);
        scene.after(() => relay.kill());
        relay.writeConfig(config);
        relay.spawn([
            'serve', '-c', relay.configFile,
            ...listen.flatMap((l) => ['--listen', l]),
            '--name', name, '--state', relay.state,
            '--log-format', 'text', '--log-level', 'debug', ...args,
        ]);
        await relay.ready(listen.length);
        return relay;
    }

    constructor() {
        this.events = [];
        this.waiters = new Set();
        this.exited = deferred();
        this.ended = false;
        this.tokens = [];
    }

    writeConfig(config) {
        writeFileSync(this.configFile, yaml(config));
    }

    spawn(argv) {
        if (!existsSync(binary)) throw new Error(`no relay to test: ${binary} (RVPN_BIN names one)`);
        const env = Object.fromEntries(
            Object.entries(process.env).filter(([key]) => !key.startsWith('RVPN_')));
        const [command, ...args] = [...this.under, this.program, ...argv];
        this.process = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
        let rest = '';
        const take = (chunk) => {
            rest += chunk;
            const lines = rest.split('\n');
            rest = lines.pop();
            for (const line of lines) this.note(line);
        };
        this.process.stderr.setEncoding('utf8').on('data', take);
        this.process.stdout.setEncoding('utf8').on('data', (s) =>
            s.trimEnd().split('\n').forEach((line) => this.note(line)));
        this.process.on('error', (err) => this.exited.reject(err));
        this.process.on('close', (code, signal) => {
            this.ended = true;
            this.exited.resolve({ code, signal });
            for (const w of this.waiters) w.fail(new Error(`the relay ended: ${code ?? signal}`));
        });
    }

    note(line) {
        const event = parseLogLine(line);
        this.events.push(event);
        for (const w of this.waiters) w.offer(event);
    }

    async ready(listeners) {
        await until(() => this.ended || this.find('listening').length >= listeners,
            'the relay to listen');
        if (this.ended) throw new Error('the relay ended at start');
        this.ports = this.find('listening').slice(0, listeners).map((e) => Number(e.fields.port));
        this.port = this.ports[0];
    }

    find(event) {
        return this.events.filter((e) => e.event === event);
    }

    get log() {
        return this.events.map((e) => e.line).join('\n');
    }

    printLog(title) {
        const lines = this.events.map((e) => e.line);
        const shown = lines.length > 400 ? ['...', ...lines.slice(-400)] : lines;
        process.stderr.write(`--- relay log of "${title}"\n${shown.join('\n')}\n---\n`);
    }

    // The first log event (past ones count) that `match` likes: a name, or a predicate.
    waitFor(match, { ms = DEADLINE_MS, from = 0 } = {}) {
        const likes = typeof match === 'function' ? match : (e) => e.event === match;
        const past = this.events.slice(from).find(likes);
        if (past) return Promise.resolve(past);
        const d = deferred();
        const waiter = {
            offer: (e) => likes(e) && d.resolve(e),
            fail: (err) => d.reject(err),
        };
        this.waiters.add(waiter);
        return within(d.promise, `log event ${match}`, ms).finally(() =>
            this.waiters.delete(waiter));
    }

    get secret() {
        return readFileSync(path.join(this.state, 'secret'), 'utf8').trimEnd();
    }

    // The certificate it made itself; undefined if it was given others.
    get ca() {
        const file = path.join(this.state, 'certificate.pem');
        return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
    }

    wss(path_ = '/') {
        return `wss://127.0.0.1:${this.port}${path_}`;
    }

    // A token as `jsonwebtoken` makes it; `hosts` and `ports` are shorthands.
    token({ hosts, ports, ttl, secret = this.secret, algorithm = 'HS256', keyid,
        ...claims } = {}) {
        const payload = { ...claims };
        if (hosts) payload.domains = hosts;
        if (ports) payload.ports = ports.map(String);
        const token = jwt.sign(payload, secret, { algorithm, ...(keyid ? { keyid } : {}),
            ...(ttl ? { expiresIn: ttl } : {}) });
        this.tokens.push(token);
        return token;
    }

    // One request to the relay's own pages, verified TLS: {status, headers, body}.
    fetch(path_, { headers = {}, method = 'GET', body, clear = false, host = this.name } = {}) {
        const options = {
            host: '127.0.0.1', port: this.port, path: path_, method, agent: false,
            headers: { Host: `${host}:${this.port}`, ...headers },
            ca: this.ca, servername: host,
        };
        const { promise, resolve, reject } = deferred();
        const request = (clear ? http : https).request(options, (response) => {
            const parts = [];
            response.on('data', (d) => parts.push(d));
            response.on('error', reject);
            response.on('end', () => resolve({
                status: response.statusCode, headers: response.headers,
                body: Buffer.concat(parts).toString(),
            }));
        });
        request.on('error', reject);
        request.end(body);
        return within(promise, `${method} ${path_} of the relay`);
    }

    adminToken() {
        return this.token({ scope: 'admin', ttl: '1h' });
    }

    async tunnels() {
        const answer = await this.fetch('/api/tunnels', {
            headers: { Authorization: `Bearer ${this.adminToken()}` },
        });
        if (answer.status !== 200) throw new Error(`/api/tunnels: ${answer.status} ${answer.body}`);
        return JSON.parse(answer.body).tunnels;
    }

    // What /api/relay says.
    async counts() {
        const answer = await this.fetch('/api/relay', {
            headers: { Authorization: `Bearer ${this.adminToken()}` },
        });
        if (answer.status !== 200) throw new Error(`/api/relay: ${answer.status} ${answer.body}`);
        return JSON.parse(answer.body);
    }

    // Waits until /api/tunnels satisfies `probe(tunnels)`; gives what probe gave.
    untilTunnels(probe, what, ms) {
        return until(async () => probe(await this.tunnels()), what, ms);
    }

    // Resident bytes of the relay; always 0 where memory cannot be judged.
    rss() {
        if (!measurable) return 0;
        const status = readFileSync(`/proc/${this.process.pid}/status`, 'utf8');
        return Number(/VmRSS:\s+(\d+) kB/.exec(status)[1]) * 1024;
    }

    // How many descriptors the relay has open.
    descriptors() {
        return readdirSync(`/proc/${this.process.pid}/fd`).length;
    }

    // Whatever of tokens and secrets has reached the log: must be empty, always.
    leaks() {
        const log = this.log;
        const words = this.tokens.flatMap((token) => token.split('.').slice(1));
        if (existsSync(path.join(this.state, 'secret'))) words.push(this.secret);
        return words.filter((word) => word.length >= 16 && log.includes(word));
    }

    signal(name) {
        this.process.kill(name);
    }

    async kill() {
        if (this.ended || !this.process) return;
        this.process.kill('SIGTERM');
        this.process.kill('SIGINT'); // the second signal stops it at once
        const timer = setTimeout(() => this.process.kill('SIGKILL'), 3000 * slowness);
        await this.exited.promise;
        clearTimeout(timer);
    }
}

// Runs one of the other subcommands to its end: {code, stdout, stderr}.
export function rvpn(...argv) {
    const { promise, resolve, reject } = deferred();
    const env = Object.fromEntries(
        Object.entries(process.env).filter(([key]) => !key.startsWith('RVPN_')));
    const child = spawn(binary, argv, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const out = { stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (s) => (out.stdout += s));
    child.stderr.setEncoding('utf8').on('data', (s) => (out.stderr += s));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, ...out }));
    return within(promise, `rvpn ${argv.join(' ')}`).finally(() => child.kill());
}
