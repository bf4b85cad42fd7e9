/* The alarm's sound: two tones for fire, a slow pulse for electrical alarms, repeated until a person has seen them. */

const PATTERNS = {
  fire: { period: 2.4, notes: [[880, 0, 0.34], [660, 0.38, 0.34], [880, 0.76, 0.34], [660, 1.14, 0.34]] },
  electrical: { period: 3.2, notes: [[587, 0, 0.28], [587, 0.44, 0.28]] },
};

let context = null;
let wanted = null;
let nextAt = 0;

/** Tries to be allowed to sound. Browsers allow it only after the person has touched the page, or where it is set so. */
export function unlock() {
  context ??= new AudioContext();
  if (context.state !== "running") context.resume().catch(() => {});
}

/** Whether the browser would let an alarm sound now. */
export const isAllowed = () => context?.state === "running";

/** The class to sound, or null for silence. */
export function sound(name) {
  wanted = PATTERNS[name] ?? null;
}

function play() {
  if (!wanted || !isAllowed()) return;
  const now = context.currentTime;
  if (now < nextAt) return;
  for (const [pitch, after, length] of wanted.notes) beep(pitch, now + after + 0.02, length);
  nextAt = now + wanted.period;
}

function beep(pitch, at, length) {
  const tone = new OscillatorNode(context, { type: "triangle", frequency: pitch });
  const level = new GainNode(context, { gain: 0 });
  level.gain.setValueAtTime(0, at);
  level.gain.linearRampToValueAtTime(0.35, at + 0.02);
  level.gain.setValueAtTime(0.35, at + length - 0.05);
  level.gain.linearRampToValueAtTime(0, at + length);
  tone.connect(level).connect(context.destination);
  tone.start(at);
  tone.stop(at + length);
}

setInterval(play, 200);
