// The questions of the bench, as data: what is asked of whom, and which of the figures counts.
//
//   title, unit, better   `better` is 'less' or 'more'
//   figure(seen)          of what the load prints
//   also(seen)            the column beside it, as text
//   subjects, base        `base` is whom the first one's ratios are of
//   works                 words after --work, as bench/run.sh one takes them
//   rounds                [of make bench, of make bench-quick]
//   head                  the work that goals are about: it has HEAD_ROUNDS, if those are more
//   skips(subject, work)  what is not measured
//   measure               in place of one run of the load
import { askBeside } from './fairness.mjs';
import { holdIdle } from './idle.mjs';
import { peers } from './peers/index.mjs';

const words = (text) => text.split(' ');
const each = (list, one) => list.map(one).map(words);
const gbit = ({ gbit_s: rate }) => `${rate.toFixed(1)} Gbit/s`;
const ms = (us) => `${(us / 1000).toFixed(2)} ms`;
const rate = (seen) => `${Math.round(seen.per_second)}/s${
    seen.p50_us === undefined ? '' : `, p50 ${ms(seen.p50_us)}, p99 ${ms(seen.p99_us)}`}`;

const perGb = { unit: 's/GB', better: 'less', figure: (seen) => seen.s_per_gb, also: gbit };
const perRequest = { unit: 'us', better: 'less', figure: (seen) => seen.us_per_request, also: rate };
const VISITORS = [1, 4, 16, 64];
const FRAMES = [1024, 4096, 16384, 65536];
const bulk = { ...perGb, base: 'haproxy 16K',
    subjects: ['rvpn', 'rvpn stock AES', 'haproxy 16K', 'haproxy 256K', 'nginx 16K', 'nginx 256K'] };
const isUsual = (work) => work.includes('16384') || !work.includes('--frame');
const isOne = (work) => !work.includes('--visitors') || work[work.indexOf('--visitors') + 1] === '1';

export const HEAD_DOWN = 'down --visitors 1 --frame 16384';
export const HEAD_UP = 'up --visitors 1';
export const HEAD_ROUNDS = [9, 5];

export const questions = {
    down: { ...bulk, title: 'Bulk to the visitor: CPU of the relay', rounds: [5, 2], head: HEAD_DOWN,
        works: VISITORS.flatMap((visitors) =>
            each(FRAMES, (frame) => `down --visitors ${visitors} --frame ${frame}`)),
        skips: (name, work) => !name.startsWith('rvpn') && !isUsual(work) && !isOne(work) ||
            (name.startsWith('nginx') || name.includes('256K') || name.includes('stock')) &&
            !isUsual(work) || name.startsWith('nginx') && !isOne(work) },
    up: { ...bulk, title: 'Bulk to the device: CPU of the relay', rounds: [5, 3], head: HEAD_UP,
        works: each(VISITORS, (visitors) => `up --visitors ${visitors}`),
        skips: (name, work) => name.startsWith('nginx') && !isOne(work) },
    messages: { ...perGb, title: 'A frame as two WebSocket messages, as clients from 0.20 on send it',
        rounds: [3, 1], base: 'haproxy 16K', subjects: ['rvpn', 'haproxy 16K'],
        works: each(FRAMES, (frame) => `down --visitors 4 --frame ${frame} --messages 2`) },
    requests: { ...perRequest, title: 'Small requests, 100 bytes there and 200 back: CPU of the relay',
        rounds: [5, 3], base: 'haproxy 16K', subjects: ['rvpn', 'haproxy 16K', 'nginx 16K'],
        works: each([1, 16, 64, 256, 1000], (count) => `ask --visitors ${count}`) },
    visitors: { ...perRequest, title: 'New visitors: CPU of the relay for each', rounds: [5, 3],
        base: 'haproxy SNI', subjects: ['rvpn', 'haproxy SNI'],
        works: [words('touch --visitors 16 --by host'), words('touch --visitors 16 --by sni'),
            words('short --visitors 16 --by host'), words('short --visitors 16 --by sni')],
        skips: (name, work) => name === 'haproxy SNI' && !work.includes('sni') },
    handshakes: { ...perRequest, title: 'Devices that come, are let in and go: CPU for each',
        rounds: [5, 3], base: 'openssl', subjects: ['rvpn', 'haproxy 16K', 'openssl'],
        works: [words('handshakes --tunnels 8'), words('handshakes --tunnels 8 --resume')] },
    workers: { title: 'Two workers and one: CPU of all threads', rounds: [5, 3],
        base: 'rvpn 1 worker', subjects: ['rvpn 2 workers', 'rvpn 1 worker', 'rvpn 2 workers, 1 core', 'rvpn'], unit: 'us or s/GB',
        better: 'less', figure: (seen) => (seen.requests ? seen.us_per_request : seen.s_per_gb),
        also: (seen) => `${seen.requests ? rate(seen) : gbit(seen)}, busiest thread ${
            Math.round((seen.watched[0].busiest_s / seen.cpu_s) * 100)} %`,
        works: ['down', 'up', 'ask'].map((what) =>
            words(`${what} --visitors 64 --tunnels 64 --names 64`)) },
    metering: { title: 'What counting costs: CPU of the relay', rounds: [11, 7],
        base: 'rvpn unmetered', subjects: ['rvpn', 'rvpn unmetered'], unit: 'us or s/GB',
        better: 'less', figure: (seen) => (seen.requests ? seen.us_per_request : seen.s_per_gb),
        also: (seen) => (seen.requests ? rate(seen) : gbit(seen)),
        works: [words('down --visitors 4'), words('up --visitors 4'), words('ask --visitors 64')] },
    scale: { ...perRequest, title: 'From 10 to 10,000 tunnels with a name each: CPU of the relay',
        rounds: [5, 2], base: 'rvpn, 10 tunnels', releases: true,
        subjects: [10000, 10, 100, 1000].map((count) => `rvpn, ${count} tunnels`),
        works: [words('ask --visitors 64 --names 10'), words('short --visitors 16 --names all')] },
    fairness: { title: 'A request of 64 bytes beside others: its time at 99 of 100', rounds: [5, 2],
        unit: 'ms', better: 'less', figure: (seen) => seen.p99_us / 1000, base: 'rvpn',
        also: (seen) => `p50 ${ms(seen.p50_us)}, most ${ms(seen.max_us)}, bulk ${
            (seen.bulk_gbit_s ?? 0).toFixed(1)} Gbit/s`,
        subjects: ['rvpn'], measure: askBeside,
        works: [words('alone'), words('beside 8 down'), words('beside 8 up'),
            words('beside 8 down --elsewhere'), words('beside 8 up --elsewhere')] },
    idle: { title: 'Idle: memory for each, and CPU of them all', rounds: [1, 1], unit: 'KiB',
        better: 'less', figure: (seen) => seen.kib, subjects: ['rvpn idle'], base: 'rvpn idle',
        also: (seen) => seen.text, measure: holdIdle,
        works: [words('10000 tunnels'), words('9000 visitors'), words('after'), words('after bulk')] },
    peers: { title: 'Beside other tunnels, nobody bound to a core: wall clock', rounds: [5, 2],
        unit: 'Gbit/s or 1000/s', better: 'more', base: 'rvpn forwards', releases: true,
        subjects: ['rvpn forwards', ...peers.map((peer) => peer.name)],
        figure: (seen) => (seen.requests ? seen.per_second / 1000 : seen.gbit_s),
        also: (seen) => (seen.requests ? `CPU ${seen.us_per_request.toFixed(1)} us, client ${
            seen.client_us_per_request.toFixed(1)}` : `CPU ${seen.s_per_gb.toFixed(2)} s/GB, client ${
            seen.client_s_per_gb.toFixed(2)}`),
        works: [words('down'), words('up'), words('ask --visitors 64')] },
};
