// Waiting for things that happen, with one deadline each: no test sleeps for luck.
import { slowness } from './paths.mjs';

export const DEADLINE_MS = 10_000 * slowness;

// Settles as `promise` does, or fails after `ms` with what was waited for.
export function within(promise, what, ms = DEADLINE_MS) {
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => {
            const why = typeof what === 'function' ? what() : what;
            reject(new Error(`waited ${ms} ms for: ${why}`));
        }, ms);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// Asks `probe` until it says something truthy.  For states that nobody announces (a counter of the
// API, the size of a process); where there is an event, wait for the event.
export async function until(probe, what, ms = DEADLINE_MS) {
    const end = performance.now() + ms;
    for (;;) {
        const answer = await probe();
        if (answer) return answer;
        if (performance.now() > end) throw new Error(`waited ${ms} ms for: ${what}`);
        await new Promise((resolve) => setTimeout(resolve, 10));
    }
}

// Only for times that the protocol itself names.
export function protocolTime(ms) {
    return new Promise((resolve) => setTimeout(resolve, ms));
}

// A promise with its handles outside.
export function deferred() {
    const d = {};
    d.promise = new Promise((resolve, reject) => Object.assign(d, { resolve, reject }));
    return d;
}
