// The board's processor: MicroPython, its flash, and the functions that shims/ is made of. See board.mjs.
import { randomBytes } from "node:crypto";
import fs from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parentPort, workerData } from "node:worker_threads";
import { loadMicroPython } from "@micropython/micropython-webassembly-pyscript/micropython.mjs";
import { AT, PENDING_BYTES, RING_BYTES } from "./shared.mjs";

const { words, ring, flash, heap, cause } = workerData;
const here = dirname(fileURLToPath(import.meta.url));

const micropython = await loadMicroPython({
    heapsize: heap,
    linebuffer: false,
    stdout: (bytes) => parentPort.postMessage({ print: Buffer.from(bytes).toString() }),
});
const FS = micropython.FS;

function copyIn(from, to) {
    FS.mkdirTree(to);
    for (const entry of fs.readdirSync(from, { withFileTypes: true })) {
        const [source, target] = [join(from, entry.name), join(to, entry.name)];
        if (entry.isDirectory()) copyIn(source, target);
        else FS.writeFile(target, fs.readFileSync(source));
    }
}

// The flash lasts: whatever changes below / is changed in the folder too, before MicroPython goes on.
function keepFlash() {
    const { close, rename, unlink, mkdir, rmdir } = FS;
    const host = (path) => join(flash, path);
    FS.close = (stream) => {
        const writes = stream.path && (stream.flags & 3) !== 0 && FS.isFile(stream.node.mode);
        close.call(FS, stream);
        if (writes) fs.writeFileSync(host(stream.path), FS.readFile(stream.path));
    };
    FS.rename = (from, to) => {
        rename.call(FS, from, to);
        fs.renameSync(host(from), host(to));
    };
    FS.unlink = (path) => {
        unlink.call(FS, path);
        fs.unlinkSync(host(path));
    };
    FS.mkdir = (path, mode) => {
        const made = mkdir.call(FS, path, mode);
        fs.mkdirSync(host(path), { recursive: true });
        return made;
    };
    FS.rmdir = (path) => {
        rmdir.call(FS, path);
        fs.rmdirSync(host(path));
    };
}

function sleep(ms) {
    const until = performance.now() + ms;
    for (let left = ms; left > 0; left = until - performance.now()) {
        Atomics.wait(words, AT.signal, Atomics.load(words, AT.signal), left);
    }
}

function restart(why, after) {
    parentPort.postMessage({ restart: why, after });
    Atomics.wait(words, AT.lamp, Atomics.load(words, AT.lamp), 60_000); // terminated meanwhile
}

function readLine(most) {
    const start = Atomics.load(words, AT.read);
    const count = Math.min(most, Atomics.load(words, AT.written) - start);
    const out = Buffer.alloc(count);
    for (let i = 0; i < count; i++) out[i] = ring[(start + i) % RING_BYTES];
    Atomics.store(words, AT.read, start + count);
    return out.toString("hex");
}

function writeLine(hex) {
    const data = Buffer.from(hex, "hex");
    const part = data.subarray(0, PENDING_BYTES - Atomics.load(words, AT.pending));
    if (part.length) {
        Atomics.add(words, AT.pending, part.length);
        parentPort.postMessage({ send: new Uint8Array(part) });
    }
    return part.length;
}

micropython.registerJsModule("_world", {
    sleep,
    wait: (ms) => Atomics.wait(words, AT.signal, Atomics.load(words, AT.signal), ms) === "ok",
    random: (count) => randomBytes(count).toString("hex"),
    cause,
    reset: () => {
        parentPort.postMessage({ say: "reset" });
        restart("reset", 50);
    },
    deepsleep: (ms) => {
        parentPort.postMessage({ say: `sleep ${ms}` });
        restart("sleep", Math.min(ms, 1000));
    },
    pin: (number) => Atomics.load(words, AT.pins + number),
    adc: (number) => Atomics.load(words, AT.adcs + number),
    lamp: (on) => {
        if (Atomics.exchange(words, AT.lamp, on) !== on) parentPort.postMessage({ say: `lamp ${on}` });
    },
    wifi: () => Atomics.load(words, AT.wifi),
    dial: (host, port) => {
        Atomics.store(words, AT.line, 1);
        parentPort.postMessage({ dial: [host, port] });
    },
    close: () => {
        Atomics.store(words, AT.line, 0);
        parentPort.postMessage({ close: true });
    },
    line: () => Atomics.load(words, AT.line),
    available: () => Atomics.load(words, AT.written) - Atomics.load(words, AT.read),
    room: () => PENDING_BYTES - Atomics.load(words, AT.pending),
    read: readLine,
    write: writeLine,
});

copyIn(join(here, "shims"), "/shims");
copyIn(flash, "/");
keepFlash();

const START = `
import builtins, os, sys, time, _world
from binascii import unhexlify
# This build hands the numbers of WASI through; boards, and its own \`errno\`, have the usual ones.
_NUMBERS = {44: 2, 20: 17, 31: 21, 54: 20}
def _usual(call):
    def called(*arguments):
        try:
            return call(*arguments)
        except OSError as error:
            raise OSError(_NUMBERS.get(error.args[0], error.args[0])) from None
    return called
for _name in ("remove", "rename", "mkdir", "listdir", "stat"):
    setattr(os, _name, _usual(getattr(os, _name)))
builtins.open = _usual(open)
os.chdir("/")
os.urandom = lambda count: unhexlify(_world.random(count))
time.sleep_ms = _world.sleep
time.sleep = lambda seconds: _world.sleep(int(seconds * 1000))
sys.path[:] = ["", "/shims", ".frozen"]
_program = {"__name__": "__main__"}
def _run(turn):
    try:
        if turn:
            return None if _program["turn"]() else 0
        with open("/main.py") as file:
            code = compile(file.read(), "main.py", "exec")
        exec(code, _program)
        if "turn" in _program:
            return None
    except SystemExit as end:
        value = end.args[0] if end.args else 0
        return value if isinstance(value, int) else 0 if value is None else 1
    return 0
status = _run(False)
`;

// A program that leaves a function `turn` is called again while that returns true: this build collects garbage only
// when no Python is running, so heap can be measured only between two calls.
let status = 1;
try {
    micropython.runPython(START);
    status = micropython.globals.get("status");
    while (status === null) {
        micropython.runPython("status = _run(True)");
        status = micropython.globals.get("status");
    }
} catch (error) {
    parentPort.postMessage({ print: `${error?.message ?? error}\n` });
}
parentPort.postMessage({ say: `end ${status}` });
