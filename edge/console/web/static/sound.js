/* What this screen sounds: the agent's own sounds, for whoever is out of the buzzer's hearing, and one that the agent
   cannot make: that it is dead. Period in seconds; notes are pitch in Hz, begin and length in seconds. */

const PATTERNS = {
  dead: { period: 2, notes: [[988, 0, 0.5], [494, 0.55, 0.9]] },
  fire: { period: 2.4, notes: [[880, 0, 0.34], [660, 0.38, 0.34], [880, 0.76, 0.34], [660, 1.14, 0.34]] },
  electrical: { period: 3.2, notes: [[587, 0, 0.28], [587, 0.44, 0.28]] },
  early_warning: { period: 6, notes: [[523, 0, 0.3]] },
  supervisory: { period: 10, notes: [[440, 0, 0.2]] },
  fault: { period: 10, notes: [[440, 0, 0.2], [392, 0.3, 0.2]] },
  disabled: { period: 60, notes: [[392, 0, 0.15]] },
  test: { period: 60, notes: [[523, 0, 0.15]] },
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

/** What to sound, or null for silence. A class that this page does not know sounds as a fire does. */
export function sound(name) {
  const next = name ? (PATTERNS[name] ?? PATTERNS.fire) : null;
  if (next !== wanted) nextAt = 0;
  wanted = next;
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
  level.gain.linearRampToValueAtTime(0.4, at + 0.02);
  level.gain.setValueAtTime(0.4, at + length - 0.05);
  level.gain.linearRampToValueAtTime(0, at + length);
  tone.connect(level).connect(context.destination);
  tone.start(at);
  tone.stop(at + length);
}

setInterval(play, 200);
