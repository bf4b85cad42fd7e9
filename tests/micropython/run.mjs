// Runs a Python script from standard input in real MicroPython, as a board would: the files of device/ are its flash.
//
//   node run.mjs [--flash DIRECTORY] [--file NAME=PATH]... < script.py
//
// The flash appears as the package `device` and, as on a board, at the top level. Ends with the script's status:
// 0, the number given to SystemExit, or 1 after a traceback on standard error.
import { readFileSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { loadMicroPython } from "@micropython/micropython-webassembly-pyscript/micropython.mjs";

const HEAP_BYTES = 16 * 1024 * 1024; // vectors are read whole here, never on a board
const here = dirname(fileURLToPath(import.meta.url));

const { values: options } = parseArgs({
    options: {
        flash: { type: "string", default: join(here, "..", "..", "device") },
        file: { type: "string", multiple: true, default: [] },
    },
});

function copyPython(micropython, from, to) {
    micropython.FS.mkdirTree(to);
    for (const name of readdirSync(from)) {
        const path = join(from, name);
        if (statSync(path).isDirectory()) {
            if (name !== "__pycache__") copyPython(micropython, path, `${to}/${name}`);
        } else if (name.endsWith(".py")) {
            micropython.FS.writeFile(`${to}/${name}`, readFileSync(path));
        }
    }
}

function copyFile(micropython, pair) {
    const split = pair.indexOf("=");
    const name = `/flash/${pair.slice(0, split)}`;
    micropython.FS.mkdirTree(dirname(name));
    micropython.FS.writeFile(name, readFileSync(pair.slice(split + 1)));
}

const micropython = await loadMicroPython({
    heapsize: HEAP_BYTES,
    linebuffer: false,
    stdout: (bytes) => process.stdout.write(Buffer.from(bytes)),
    stderr: (bytes) => process.stderr.write(Buffer.from(bytes)),
});
copyPython(micropython, options.flash, "/flash/device");
for (const pair of options.file) copyFile(micropython, pair);
micropython.FS.writeFile("/script.py", readFileSync(0));

// MicroPython's own loop swallows SystemExit, so the script runs inside a function that catches it.
const START = `
import os, sys
os.chdir("/flash")
sys.path[:] = ["", "/flash/device", ".frozen"]
def _run():
    with open("/script.py") as file:
        code = compile(file.read(), "script.py", "exec")
    try:
        exec(code, {"__name__": "__main__"})
    except SystemExit as end:
        value = end.args[0] if end.args else 0
        return value if isinstance(value, int) else 0 if value is None else 1
    return 0
status = _run()
`;

try {
    micropython.runPython(START);
    process.exitCode = micropython.globals.get("status");
} catch (error) {
    process.stderr.write(`${error?.message ?? error}\n`);
    process.exitCode = 1;
}
