// The memory that a board and the world around it share: words, and a ring of received bytes.
export const RING_BYTES = 16384;
export const PENDING_BYTES = 2048; // what a small board's TCP takes before a write is told to wait
export const AT = {
    signal: 0, // counts what has happened, to sleep on
    line: 1, // 0 none, 1 dialling, 2 open, 3 refused, 4 hung up
    read: 2, // bytes taken out of the ring so far
    written: 3,
    pending: 4, // bytes on their way out
    wifi: 5,
    lamp: 6,
    pins: 10,
    adcs: 60,
};
export const WORDS = 110;
