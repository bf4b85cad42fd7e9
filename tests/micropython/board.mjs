// A board: real MicroPython with a flash that lasts, pins, a Wi-Fi and TCP sockets, under test by lines on stdin.
//
//   node board.mjs FLASH_FOLDER [--heap BYTES]
//
// MicroPython runs in a worker that blocks as a board's processor does; this thread is the world around it. The folder
// is the flash: `/main.py` in it is what runs, and every change is on disk as soon as MicroPython has made it. The
// modules `machine`, `network` and `socket` come from shims/; all else is MicroPython's own.
//
// stdin, a command a line; `ok` answers each:
//   pin N 0|1     level of an input        adc N MV   millivolts of an analog pin
//   wifi up|down  the access point         hang       the line stays open and carries nothing any more (half-open)
//   cut           power cut, at once, whatever was being written       power   power back
// stdout: what the program prints; and, a line each, `# lamp 0|1`, `# reset`, `# sleep MS`, `# end STATUS`.
import net from "node:net";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import { AT, RING_BYTES, WORDS } from "./shared.mjs";

const { values: options, positionals } = parseArgs({
    options: { heap: { type: "string", default: String(128 * 1024) } },
    allowPositionals: true,
});
const words = new Int32Array(new SharedArrayBuffer(4 * WORDS));
const ring = new Uint8Array(new SharedArrayBuffer(RING_BYTES));
words.fill(1, AT.pins, AT.adcs); // pulled up
words.fill(-1, AT.adcs);
Atomics.store(words, AT.wifi, 1);

let board = null;
let cause = "power";
let line = null;
let hangs = false;

function say(text) {
    process.stdout.write(`# ${text}\n`);
}

function wake() {
    Atomics.add(words, AT.signal, 1);
    Atomics.notify(words, AT.signal);
}

// --- the one TCP connection of a board ---------------------------------------------------------------------------------

function hangUp() {
    line?.destroy();
    line = null;
    Atomics.store(words, AT.line, 0);
}

function dial(host, port) {
    hangUp();
    hangs = false;
    Atomics.store(words, AT.pending, 0);
    Atomics.store(words, AT.read, Atomics.load(words, AT.written));
    Atomics.store(words, AT.line, 1);
    if (!Atomics.load(words, AT.wifi)) return;
    const socket = net.connect({ host, port, noDelay: true });
    line = socket;
    const ends = (state) => () => {
        if (line === socket && !hangs) Atomics.store(words, AT.line, state);
        wake();
    };
    socket.on("connect", ends(2));
    socket.on("error", ends(3));
    socket.on("end", ends(4));
    socket.on("data", (data) => take(socket, data));
}

// Into the ring; what does not fit waits, and holds the sender back as TCP does.
function take(socket, data) {
    if (line !== socket || hangs) return;
    const written = Atomics.load(words, AT.written);
    const room = RING_BYTES - (written - Atomics.load(words, AT.read));
    const part = data.subarray(0, room);
    for (let i = 0; i < part.length; i++) ring[(written + i) % RING_BYTES] = part[i];
    Atomics.store(words, AT.written, written + part.length);
    wake();
    if (part.length < data.length) {
        socket.pause();
        setTimeout(() => take(socket, data.subarray(room)), 1);
    } else if (socket.isPaused()) socket.resume();
}

function send(data) {
    const sent = () => {
        Atomics.sub(words, AT.pending, data.length);
        wake();
    };
    if (line === null || hangs || !Atomics.load(words, AT.wifi)) return; // TCP would try again until it gives up
    line.write(data, sent);
}

// --- power -------------------------------------------------------------------------------------------------------------

function power() {
    const worker = new Worker(new URL("./board_worker.mjs", import.meta.url), {
        workerData: { words, ring, flash: positionals[0], heap: Number(options.heap), cause },
    });
    board = worker;
    worker.on("message", (message) => {
        if (board !== worker) return;
        if (message.dial) dial(...message.dial);
        else if (message.close) hangUp();
        else if (message.send) send(message.send);
        else if (message.print) process.stdout.write(message.print);
        else if (message.say) say(message.say);
        else if (message.restart) restart(message.restart, message.after);
    });
    worker.on("error", (error) => {
        process.stderr.write(`${error?.stack ?? error}\n`);
        process.exit(1);
    });
}

async function cut() {
    const worker = board;
    board = null;
    await worker?.terminate();
    hangUp();
}

async function restart(why, after) {
    await cut();
    cause = why;
    setTimeout(() => board ?? power(), after);
}

const commands = {
    pin: (number, level) => Atomics.store(words, AT.pins + Number(number), Number(level)),
    adc: (number, millivolts) => Atomics.store(words, AT.adcs + Number(number), Number(millivolts)),
    wifi: (state) => {
        Atomics.store(words, AT.wifi, state === "up" ? 1 : 0);
        if (state === "down") hangs = true; // nobody says good-bye
    },
    hang: () => {
        hangs = true;
    },
    cut,
    power: () => {
        cause = "power";
        power();
    },
};

const input = createInterface({ input: process.stdin });
input.on("line", async (text) => {
    const [name, ...rest] = text.split(" ");
    await commands[name](...rest);
    wake();
    say("ok");
});
input.on("close", () => process.exit(0));
power();
