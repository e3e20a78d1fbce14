// What is measured: relays, proxies that end TLS, tunnels of others.  Each is started when it is
// first asked for, on core RELAY_CPU, and stays until it is stopped.
//
// A subject is {name, pids, args, command}: the processes whose CPU counts, what the load generator
// must be told to reach it, and how it was started.  One that cannot be had is {name, absent: why}.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { HOST, binary, freePort, start, tree } from './process.mjs';
import { Held } from './held.mjs';
import { accepts, until } from './peers/lib.mjs';
import { peers } from './peers/index.mjs';

const RELAY_CPU = '1';
const LOAD_CPU = '0';
const ALL_CPUS = '0,1';
const UNMETERED = path.join(tree, 'build/unmetered/rvpn');
const LOAD = process.env.LOAD ?? path.join(tree, 'build/release/load');
const FOUND = path.join(tree, 'build/bench/peers.json'); // by bench/peers/install.mjs
const NGINX_STREAM = '/usr/lib/nginx/modules/ngx_stream_module.so';

const on = (cpus, file, args, isReady) => start('taskset', ['-c', cpus, file, ...args], isReady);

export const pinned = ['--cpu', LOAD_CPU];

// The load generator, once: what it prints.
export async function runLoad(args) {
    const child = start(LOAD, args);
    const code = await child.ended;
    if (code !== 0) throw new Error(child.text.trim().split('\n').at(-1).slice(0, 200));
    return JSON.parse(child.text.trim().split('\n').at(-1));
}

export async function startRelay(name, folder, { file = binary, workers = 1, flags = [],
    cpus = RELAY_CPU } = {}) {
    if (!existsSync(file)) return { name, absent: `${path.relative(tree, file)} is not built` };
    const state = path.join(folder, name.replaceAll(' ', '-'));
    const own = ['--workers', workers, ...flags].map(String);
    const child = on(cpus, file, ['serve', '--listen', '127.0.0.1:0', '--state', state,
        '--handshakes-per-second', '0', ...own], (text) => / listening .*\n/.test(text));
    const port = / listening .*?port=(\d+)/.exec(await child.ready)[1];
    return { name, state, port, pids: [child.pid], command: `${path.relative(tree, file)} serve ${own.join(' ')}`,
        args: ['--relay', port, '--secret', `${state}/secret`],
        stop: () => (child.kill('SIGKILL'), child.ended) };
}

// The certificate is the one that the relay made for itself, so that keys are alike.
async function credentials(folder) {
    const state = path.join(folder, 'rvpn');
    const pem = path.join(folder, 'both.pem');
    writeFileSync(pem, ['certificate.pem', 'certificate-key.pem']
        .map((file) => readFileSync(path.join(state, file), 'utf8')).join('\n'), { mode: 0o600 });
    return { pem, certificate: `${state}/certificate.pem`, key: `${state}/certificate-key.pem` };
}

async function startProxy(name, file, args, ports, load, command) {
    const child = on(RELAY_CPU, file, args);
    await until(() => accepts(ports[0]), child);
    return { name, pids: [child.pid], args: load, command,
        stop: () => (child.kill('SIGKILL'), child.ended) };
}

const haproxyText = (bufsize, bind, server) => `global
    nbthread 1
    maxconn 9000
    ${bufsize ? `tune.bufsize ${bufsize}` : ''}
defaults
    mode tcp
    maxconn 9000
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend in
    ${bind}
    default_backend out
backend out
    server out 127.0.0.1:${server}
`;

// Ends TLS, and goes on in plain TCP: what a tunnel's relay has to do at the least.
async function haproxy(name, folder, bufsize) {
    const [port, out] = [await freePort(), await freePort()];
    const { pem } = await credentials(folder);
    const file = path.join(folder, `${name.replaceAll(' ', '-')}.cfg`);
    writeFileSync(file, haproxyText(bufsize, `bind 127.0.0.1:${port} ssl crt ${pem}`, out));
    return startProxy(name, 'haproxy', ['-db', '-f', file], [port],
        ['--legs', port, '--accept', out], `haproxy: mode tcp, nbthread 1, ssl, tune.bufsize ${
            bufsize ?? 'as it is'}`);
}

// Passes TLS on by its SNI.
async function haproxySni(name, folder) {
    const [port, out] = [await freePort(), await freePort()];
    const file = path.join(folder, 'haproxy-sni.cfg');
    writeFileSync(file, haproxyText(undefined, `bind 127.0.0.1:${port}
    tcp-request inspect-delay 5s
    tcp-request content accept if { req.ssl_sni ${HOST} }
    tcp-request content reject`, out));
    return startProxy(name, 'haproxy', ['-db', '-f', file], [port],
        ['--service', out, '--visit', port], 'haproxy: mode tcp, nbthread 1, req.ssl_sni');
}

async function nginx(name, folder, buffer) {
    if (!existsSync(NGINX_STREAM)) return { name, absent: `${NGINX_STREAM} is not installed` };
    const [port, out] = [await freePort(), await freePort()];
    const { certificate, key } = await credentials(folder);
    const file = path.join(folder, `${name.replaceAll(' ', '-')}.conf`);
    writeFileSync(file, `load_module ${NGINX_STREAM};
daemon off; master_process off; worker_processes 1; error_log stderr error;
pid ${file}.pid;
events { worker_connections 9000; }
stream { server {
    listen 127.0.0.1:${port} ssl; ssl_certificate ${certificate}; ssl_certificate_key ${key};
    ssl_protocols TLSv1.3; proxy_pass 127.0.0.1:${out}; proxy_buffer_size ${buffer};
} }
`);
    return startProxy(name, 'nginx', ['-c', file, '-p', folder], [port],
        ['--legs', port, '--accept', out], `nginx: stream, ssl, proxy_buffer_size ${buffer}`);
}

// What OpenSSL's own handshake takes, in the load generator's memory: no relay at all.
async function openssl(name, folder) {
    const { certificate, key } = await credentials(folder);
    return { name, pids: [], command: 'load --work openssl', stop: async () => {},
        args: ['--certificate', certificate, '--key', key],
        adapt: (work) => work.map((word) => (word === 'handshakes' ? 'openssl' : word)) };
}

// A relay that `count` devices with a name each stay connected to; the load has visitors only.
async function crowded(name, folder, count) {
    const relay = await startRelay(name, folder);
    const held = await Held.start([...pinned, ...relay.args, '--work', 'none', '--tunnels', count,
        '--names', count]);
    return { ...relay, args: ['--visit', relay.port],
        adapt: (work) => work.map((word) => (word === 'all' ? count : word)),
        stop: () => Promise.all([held.end(), relay.stop()]) };
}

// As the peers are: visitors and a service, a client of its own between the service and the relay,
// and nobody is bound to a core.
async function forwarding(name, folder) {
    const servicePort = await freePort();
    const relay = await startRelay(name, folder, { cpus: ALL_CPUS });
    const device = await Held.start([...relay.args, '--forward', servicePort]);
    return { ...relay, isFree: true, args: ['--service', servicePort, '--visit', relay.port],
        clients: [device.pid],
        stop: () => Promise.all([device.end(), relay.stop()]) };
}

// One of bench/peers, through its own relay and its own client.
async function startPeer(peer, folder) {
    const { why, version } = found[peer.name] ?? await peer.install().then((v) => ({ version: v }));
    if (why) return { name: peer.name, absent: why };
    const own = path.join(folder, peer.name.replaceAll(/[^\w]+/g, '-'));
    mkdirSync(own, { recursive: true });
    const servicePort = await freePort();
    const service = await Held.start(['--service', servicePort]);
    const started = await peer.start({ servicePort, folder: own }).finally(() => service.end());
    return { name: peer.name, isFree: true, pids: started.relayPids,
        clients: started.clientPids, warm: peer.warm, stop: started.stop,
        args: ['--service', servicePort, '--visit', started.visitPort],
        command: `${peer.name} ${version}; bench/peers has how` };
}

const found = existsSync(FOUND) ? JSON.parse(readFileSync(FOUND, 'utf8')) : {};

const known = {
    'rvpn': (name, folder) => startRelay(name, folder),
    'rvpn stock AES': (name, folder) => startRelay(name, folder, { flags: ['--vector-aes', 'off'] }),
    'rvpn idle': (name, folder) => startRelay(name, folder),
    'rvpn unmetered': (name, folder) => startRelay(name, folder, { file: UNMETERED }),
    'rvpn 1 worker': (name, folder) => startRelay(name, folder, { cpus: ALL_CPUS }),
    'rvpn 2 workers': (name, folder) => startRelay(name, folder, { cpus: ALL_CPUS, workers: 2 }),
    'rvpn 2 workers, 1 core': (name, folder) => startRelay(name, folder, { workers: 2 }),
    'rvpn forwards': forwarding,
    'haproxy 16K': (name, folder) => haproxy(name, folder),
    'haproxy 256K': (name, folder) => haproxy(name, folder, 262144),
    'haproxy SNI': haproxySni,
    'nginx 16K': (name, folder) => nginx(name, folder, '16k'),
    'nginx 256K': (name, folder) => nginx(name, folder, '256k'),
    'openssl': openssl,
    ...Object.fromEntries([10, 100, 1000, 10000].map((count) => [`rvpn, ${count} tunnels`,
        (name, folder) => crowded(name, folder, count)])),
    ...Object.fromEntries(peers.map((peer) => [peer.name,
        (name, folder) => startPeer(peer, folder)])),
};

export const subjectNames = Object.keys(known);
const running = new Map();

// The subject of that name; started if it is not running.
export function subject(name, folder) {
    if (!known[name]) throw new Error(`no subject ${name}; there are: ${subjectNames.join(', ')}`);
    if (!running.has(name))
        running.set(name, known[name](name, folder)
            .catch((err) => ({ name, absent: err.message.split('\n')[0].slice(0, 200) })));
    return running.get(name);
}

export async function stopSubject(name) {
    const one = await running.get(name);
    running.delete(name);
    await one?.stop?.();
}

// A tunnel's client is no part of its relay's figures; its own stand beside them.
function splitCpu(seen, { pids, clients }) {
    if (!seen.requests && !seen.down && !seen.up) throw new Error('nothing came through');
    if (!clients) return seen;
    const relay = seen.watched.filter(({ pid }) => pids.includes(pid));
    const share = relay.reduce((sum, one) => sum + one.cpu_s, 0) / seen.cpu_s;
    const of = (whole, part) => (whole === undefined ? undefined : whole * part);
    return { ...seen, watched: relay, cpu_s: seen.cpu_s * share,
        s_per_gb: of(seen.s_per_gb, share), us_per_request: of(seen.us_per_request, share),
        client_s_per_gb: of(seen.s_per_gb, 1 - share),
        client_us_per_request: of(seen.us_per_request, 1 - share) };
}

// What the load prints for one work of one subject, for which it is given `more` options.
export async function measure(one, work, more = []) {
    if (one.absent) return { error: one.absent };
    const pids = [...one.pids, ...(one.clients ?? [])];
    const watch = pids.length ? ['--watch', pids.join(',')] : [];
    const args = [...(one.isFree ? [] : pinned), ...one.args, '--work',
        ...(one.adapt?.(work) ?? work), ...watch, ...more,
        ...(one.warm ? ['--warm', one.warm] : [])].map(String);
    try {
        return splitCpu(await runLoad(args), one);
    } catch (err) {
        return { error: err.message };
    }
}
