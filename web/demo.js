// The demonstration page: one WebSocket to the relay, what is said on it, and the relay's counters.
//
// The relay sends test messages, and after each change its totals as
// {"bytes_read":N,"bytes_written":M}; the first of these says that it has registered the page.  On
// /admin the first message to the relay is {"auth":"TOKEN"}.

const MESSAGES_MAX = 200; // older ones are dropped

const at = (id) => document.getElementById(id);
const start = at('start');
const state = at('state');
const auth = at('auth');
const message = at('message');
const send = at('send');
const messages = at('messages');

const isAdmin = location.pathname === '/admin';
const number = new Intl.NumberFormat('en');
const clock = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' });

let socket = null; // null: closed
let hasRegistered = false;

function show(name, text) {
    state.dataset.state = name;
    state.textContent = text;
    start.setAttribute('aria-pressed', String(name === 'open'));
    send.disabled = name !== 'open';
}

function add(who, name, text) {
    const wasAtEnd = messages.scrollHeight - messages.scrollTop - messages.clientHeight < 8;
    const item = document.createElement('li');
    const time = document.createElement('time');
    const by = document.createElement('span');
    const body = document.createElement('span');

    time.textContent = clock.format(new Date());
    by.className = 'who';
    by.textContent = name;
    body.className = 'text';
    body.dir = 'auto';
    body.textContent = text;
    item.className = who;
    item.append(time, by, body);
    messages.append(item);
    while (messages.childElementCount > MESSAGES_MAX) messages.firstElementChild.remove();
    if (wasAtEnd) messages.scrollTop = messages.scrollHeight;
}

// The totals in `text`, or null if it is a message.
function totalsIn(text) {
    if (!text.startsWith('{')) return null;
    try {
        const totals = JSON.parse(text);
        return Number.isFinite(totals.bytes_read) && Number.isFinite(totals.bytes_written)
            ? totals : null;
    } catch {
        return null;
    }
}

function showTotals(totals) {
    at('bytes-read').textContent = number.format(totals.bytes_read);
    at('bytes-written').textContent = number.format(totals.bytes_written);
}

function onMessage({ data }) {
    const text = typeof data === 'string' ? data : '(bytes)';
    const totals = totalsIn(text);

    if (!totals) {
        add('from-relay', 'relay', text);
        return;
    }
    showTotals(totals);
    if (hasRegistered) return;
    hasRegistered = true;
    show('open', 'Connected. Press again to disconnect.');
}

function onClose({ code, reason }) {
    const wasOpen = hasRegistered;

    socket = null;
    hasRegistered = false;
    if (code === 1000 || code === 1005) show('closed', 'Disconnected');
    else if (reason) show('failed', `Closed by the relay: ${reason} (${code})`);
    else if (wasOpen) show('failed', 'The connection to the relay was lost');
    else show('failed', 'The relay does not answer');
}

function open() {
    const url = new URL(isAdmin ? '/ws/admin' : '/ws/client', location.href);

    url.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
    socket = new WebSocket(url);
    socket.binaryType = 'arraybuffer';
    show('opening', 'Connecting…');
    socket.addEventListener('message', onMessage);
    socket.addEventListener('close', onClose);
    if (isAdmin) {
        const token = auth.value.trim();
        socket.addEventListener('open', ({ target }) => target.send(JSON.stringify({ auth: token })));
    }
}

start.addEventListener('click', () => {
    if (socket) {
        show('closing', 'Disconnecting…');
        socket.close(1000);
    } else if (isAdmin && !auth.value.trim()) {
        show('failed', 'A token is needed first');
        auth.focus();
    } else {
        showTotals({ bytes_read: 0, bytes_written: 0 });
        open();
    }
});

at('form').addEventListener('submit', (event) => {
    const text = message.value;

    event.preventDefault();
    if (!hasRegistered || socket?.readyState !== WebSocket.OPEN || !text) return;
    socket.send(text);
    add('from-page', 'you', text);
    message.value = '';
    message.focus();
});

auth.addEventListener('keydown', ({ key }) => {
    if (key === 'Enter' && !socket) start.click();
});

if (isAdmin) {
    document.title = 'RVPN relay: admin';
    at('lead').textContent = 'The same WebSocket, behind a token.';
    at('auth-row').hidden = false;
}
