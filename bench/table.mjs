// Tables of figures, as text and as Markdown at once.
import { questions } from './questions.mjs';

export function median(numbers) {
    const sorted = [...numbers].sort((a, b) => a - b);
    const half = sorted.length >> 1;
    return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

const digits = (number) => (number === undefined || Number.isNaN(number) ? '-'
    : number >= 100 ? number.toFixed(0) : number >= 10 ? number.toFixed(1) : number.toFixed(3));

// What `mine` is of `theirs`, each round with its own; undefined if there is no such round.
export function ratio(results, work, mine, theirs) {
    const of = (name) => results.filter((r) => r.work === work && r.subject === name && r.figure);
    const ratios = of(mine).flatMap((a) =>
        of(theirs).filter((b) => b.round === a.round).map((b) => a.figure / b.figure));
    return ratios.length ? median(ratios) : undefined;
}

// One line for each work and subject that was measured.
export function rowsOf({ key, results }) {
    const question = questions[key];
    const rssOf = ({ seen }) => (seen.watched ?? []).reduce((sum, w) => sum + w.rss_kib, 0) / 1024;
    return question.works.flatMap((words) => question.subjects.flatMap((name) => {
        const work = words.join(' ');
        const mine = results.filter((r) => r.work === work && r.subject === name);
        const good = mine.filter((r) => r.figure !== undefined);
        const row = { work, name, command: mine[0]?.command };
        if (!mine.length) return [];
        if (!good.length) return [{ ...row, why: mine[0].seen.error }];
        const figures = good.map((r) => r.figure);
        const middle = good.find((r) => r.figure === median(figures)) ?? good[0];
        return [{ ...row, figure: median(figures), least: Math.min(...figures),
            most: Math.max(...figures), also: question.also(middle.seen),
            ratio: ratio(results, work, question.subjects[0], name),
            toBase: ratio(results, work, name, question.base), rss: rssOf(middle),
            failed: mine.length - good.length,
            errors: good.reduce((sum, { seen }) => sum + (seen.errors ?? 0), 0) }];
    }));
}

function pad(rows) {
    const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)));
    const line = (row) => `| ${row.map((cell, i) => cell.padEnd(widths[i])).join(' | ')} |`;
    return [line(rows[0]), `|${widths.map((w) => '-'.repeat(w + 2)).join('|')}|`,
        ...rows.slice(1).map(line)];
}

const told = (count, what) => (count ? `, ${count} ${what}` : '');

export function tableLines(answer) {
    const question = questions[answer.key];
    const rows = rowsOf(answer);
    const cells = rows.map((row) => (row.why ? [row.work, row.name, '-', '', '', '', row.why, '']
        : [row.work, row.name, digits(row.figure), `${digits(row.least)} to ${digits(row.most)}`,
            digits(row.toBase), digits(row.ratio), row.also + told(row.failed, 'failed') +
            told(row.errors, 'connections lost'),
            row.rss ? row.rss.toFixed(0) : '']));
    const how = question.measure ? `bench/run.sh bench ${answer.key}`
        : "bench/run.sh one 'SUBJECT' WORK";
    return ['', `### ${question.title}`, '', `Each figure: \`${how}\``, '',
        ...pad([['work', 'subject', question.unit, 'least to most', `of ${question.base}`,
            `${question.subjects[0]}: times this`, 'also', 'RSS MiB'], ...cells]),
        '', ...commandsOf(rows)];
}

function commandsOf(rows) {
    const commands = new Map(rows.filter((row) => row.command).map((row) => [row.name, row.command]));
    return [...commands].map(([name, command]) => `- ${name}: \`${command}\``);
}

export function goalLines(goals) {
    const cells = goals.map((goal) => [goal.what, goal.target, goal.figure, goal.verdict]);
    return ['', '### Goals', '', ...pad([['what', 'target', 'figure', 'met'], ...cells]), '',
        `goals met: ${goals.filter((goal) => goal.isMet).length} of ${goals.length}`];
}
