// Peers that no package manager has by name here: their rows say so.
const absent = (name, why) => ({
    name,
    install: () => Promise.reject(new Error(why)),
    start: () => Promise.reject(new Error(why)),
});

export default [
    absent('wstunnel', 'cargo has no package wstunnel or wstunnel-cli'),
    absent('Node relay (2018)', 'npm has none of telebit-relay, stunneld, telebit, stunnel'),
    absent('Go relay (2021)', 'the Go module proxy refuses telebit by each of its module names'),
];
