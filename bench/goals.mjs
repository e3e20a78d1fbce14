// The goals, each with the figure of this run and whether it is met.  What was not asked, or could
// not be measured, counts, and is not met; nor is what is only reckoned from a figure of another run.
import { HEAD_DOWN, HEAD_UP, questions } from './questions.mjs';
import { ratio, rowsOf } from './table.mjs';

// HAProxy's CPU per GB is to that of the first relays, in Node, as 1 to 2.7, and of their successor,
// in Go, as 1 to 13, measured side by side; neither is to be had by name any more.  So their rows say
// what follows from that, and never that it is met.
const NODE = 2.7, GO = 13;

const atMost = (target) => (number) => ({ target: `at most ${target}`, isMet: number <= target });
const atLeast = (target) => (number) => ({ target: `at least ${target}`, isMet: number >= target });

const show = (number) => (number === undefined || Number.isNaN(number) ? 'not measured'
    : number >= 1000 ? Math.round(number).toString() : number.toFixed(number >= 10 ? 1 : 2));

function goal(what, number, test, unit = '') {
    const { target, isMet } = test(number ?? NaN);
    return { what, number, figure: show(number) + (number === undefined ? '' : unit), target, isMet,
        verdict: isMet ? 'met' : 'not met' };
}

function reckoned(...args) {
    return { ...goal(...args), isMet: false, verdict: 'not measured here' };
}

// Both directions in one: the worse.
const worse = (...numbers) => (numbers.includes(undefined) ? undefined : Math.max(...numbers));

function bulkGoals(find) {
    const stock = (to, base) => find(to, to === 'down' ? HEAD_DOWN : HEAD_UP, 'rvpn stock AES', base);
    const vector = (to) => find(to, to === 'down' ? HEAD_DOWN : HEAD_UP, 'rvpn', 'haproxy 16K');
    const both = (one) => worse(one('down'), one('up'));
    const least = (times) => {
        const ratioOfWorse = both((to) => stock(to, 'haproxy 16K'));
        return ratioOfWorse && times / ratioOfWorse;
    };
    const leastVector = both(vector) && NODE / both(vector);
    return [
        goal('bulk to the visitor, stock OpenSSL, of HAProxy', stock('down', 'haproxy 16K'), atMost(0.6)),
        goal('bulk to the device, stock OpenSSL, of HAProxy', stock('up', 'haproxy 16K'), atMost(0.6)),
        goal('bulk to the visitor, stock OpenSSL, of HAProxy with 256 KiB',
            stock('down', 'haproxy 256K'), atMost(0.85)),
        goal('bulk to the device, stock OpenSSL, of HAProxy with 256 KiB',
            stock('up', 'haproxy 256K'), atMost(0.85)),
        reckoned('times less than the Node relay, if that is 2.7 of HAProxy', least(NODE), atLeast(4)),
        reckoned('times less than the Go relay, if that is 13 of HAProxy', least(GO), atLeast(20)),
        goal('bulk with vectorised AES, the worse direction, of HAProxy', both(vector), atMost(0.35)),
        reckoned('... times less than the Node relay, if that is 2.7 of HAProxy', leastVector, atLeast(7)),
    ];
}

// The dearest of all numbers of visitors and sizes of frames to the cheapest, one way.
function spread(answers, to) {
    const figures = answers.filter(({ key }) => key === to).flatMap(rowsOf)
        .filter((row) => row.name === 'rvpn').map((row) => row.figure);
    return figures.length && !figures.includes(undefined)
        ? Math.max(...figures) / Math.min(...figures) : undefined;
}

// How far ahead of the best of the others, in one work, all of whom must have been there but for those
// that are not to be had.  frp is the one with its TLS: without, it has the kernel move bytes from
// socket to socket, which nobody can who encrypts.
const isGoal = (name) => !/^(rvpn forwards|frp .* plain|Node relay|Go relay)/.test(name);
const isNeeded = (name) => /^(frp|chisel|rathole|ssh|bore)/.test(name);

function wallGoal(answers, what, work) {
    const rows = answers.filter(({ key }) => key === 'peers').flatMap(rowsOf)
        .filter((row) => row.work === work && isGoal(row.name));
    const missing = rows.filter((row) => !row.ratio).map(({ name }) => name);
    const best = rows.filter((row) => row.ratio).sort((a, b) => a.ratio - b.ratio)[0];
    const who = [best?.name, missing.length && `without ${missing.join(', ')}`].filter(Boolean).join('; ');
    return goal(`${what}: times the best peer${who && ` (${who})`}`,
        missing.some(isNeeded) ? undefined : best?.ratio, atLeast(1));
}

function fairnessGoal(figure) {
    const [alone, beside] = ['alone', 'beside 8 down'].map((work) => figure('fairness', work, 'rvpn'));
    return goal('64-byte requests beside 8 downloads in their tunnel, p99 above alone',
        alone && beside && beside - alone, atMost(5), ' ms');
}

// What two workers do with a CPU-second of each, over what one does with one: the worst work.  Judged
// where each has a core, though the load takes its part of both and so of this figure; on one core
// they meet only each other, and what the caches of two cores cost them is not seen.
function workersGoal(find, works) {
    const capacity = (one, two) => {
        const ratios = works.map((work) => find('workers', work, one, two));
        return ratios.includes(undefined) ? undefined : 2 * Math.min(...ratios);
    };
    return goal('two workers, a load beside them on both cores: times the capacity of one',
        capacity('rvpn 1 worker', 'rvpn 2 workers'), atLeast(1.9),
        ` (on one core, the load on the other: ${show(capacity('rvpn', 'rvpn 2 workers, 1 core'))})`);
}

export function judge(answers) {
    const find = (key, work, mine, theirs) =>
        ratio(answers.find((a) => a.key === key)?.results ?? [], work, mine, theirs);
    const figure = (key, work, name) => answers.filter((a) => a.key === key).flatMap(rowsOf)
        .find((row) => row.work === work && row.name === name)?.figure;
    const works = (key) => questions[key].works.map((words) => words.join(' '));
    const touched = worse(...works('visitors').filter((work) => work.startsWith('touch'))
        .map((work) => figure('visitors', work, 'rvpn')));
    const rate = (work) => {
        const less = find('handshakes', work, 'openssl', 'rvpn');
        return less && less * 100;
    };
    const metering = works('metering').map((work) => find('metering', work, 'rvpn', 'rvpn unmetered'));
    const after = worse(...['after', 'after bulk'].map((work) => figure('idle', work, 'rvpn idle')));
    return [
        ...bulkGoals(find),
        goal('1 to 64 visitors, frames of 1 to 64 KB, the worse direction: dearest to cheapest',
            worse(spread(answers, 'down'), spread(answers, 'up')), atMost(1.3)),
        goal('small requests at 64, of HAProxy',
            find('requests', 'ask --visitors 64', 'rvpn', 'haproxy 16K'), atMost(0.85)),
        goal('small requests at 1000, of HAProxy',
            find('requests', 'ask --visitors 1000', 'rvpn', 'haproxy 16K'), atMost(0.6)),
        wallGoal(answers, 'one stream down', 'down'),
        wallGoal(answers, 'one stream up', 'up'),
        wallGoal(answers, '64 connections that ask', 'ask --visitors 64'),
        goal('idle tunnel', figure('idle', '10000 tunnels', 'rvpn idle'), atMost(16), ' KiB'),
        goal('idle visitor', figure('idle', '9000 visitors', 'rvpn idle'), atMost(2), ' KiB'),
        goal('new visitors a second and core: connect, a byte at the device, reset', touched && 1e6 / touched, atLeast(40_000)),
        goal('devices: of the rate of OpenSSL alone', rate(works('handshakes')[0]), atLeast(90), ' %'),
        goal('... with resumption', rate(works('handshakes')[1]), atLeast(90), ' %'),
        workersGoal(find, works('workers')),
        fairnessGoal(figure),
        goal('metering', worse(...metering) && (worse(...metering) - 1) * 100, atMost(2), ' %'),
        goal('memory that stays after idle crowds, bulk and requests',
            after === undefined ? undefined : after / 1024, atMost(8), ' MiB'),
    ];
}
