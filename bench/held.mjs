// bench/load.c with --hold: a process that tells what it moved since it was last asked.
import { spawn } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { adopt, tree, within } from './process.mjs';

const LOAD = process.env.LOAD ?? path.join(tree, 'build/release/load');
const ANSWER_MS = 60_000;

export class Held {
    // Resolves once all its links and visitors are open.
    static async start(args) {
        const held = new Held();
        held.waiting = [];
        held.child = spawn(LOAD, [...args.map(String), '--hold']);
        held.pid = held.child.pid;
        held.text = '';
        adopt(held.child);
        held.child.stderr.setEncoding('utf8').on('data', (text) => (held.text += text));
        held.child.stdin.on('error', () => {}); // its end is seen
        held.ended = new Promise((resolve) => held.child.on('close', resolve));
        held.ended.then(() => held.waiting.splice(0).forEach(({ reject }) =>
            reject(new Error(held.text.trim() || 'the load ended'))));
        createInterface({ input: held.child.stdout }).on('line', (text) =>
            held.waiting.shift()?.resolve(JSON.parse(text)));
        try {
            await held.line('open');
        } catch (err) {
            await held.end();
            throw err;
        }
        return held;
    }

    line(what) {
        const answer = new Promise((resolve, reject) => this.waiting.push({ resolve, reject }));
        return within(answer, `the load's ${what}`, ANSWER_MS);
    }

    counts() {
        if (this.child.exitCode !== null) return Promise.reject(new Error(this.text.trim()));
        this.child.stdin.write('\n');
        return this.line('counts');
    }

    async end() {
        this.child.stdin.end();
        const killer = setTimeout(() => this.child.kill('SIGKILL'), 1000);
        await this.ended;
        clearTimeout(killer);
    }
}
