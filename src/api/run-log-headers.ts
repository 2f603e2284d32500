/** The first byte of the answer, within the whole log. */
export const LOG_FROM_HEADER = 'mao-log-from'
/** How many bytes the whole log had when the answer began. */
export const LOG_BYTES_HEADER = 'mao-log-bytes'
/** `true` when nothing more will come to it. */
export const LOG_COMPLETE_HEADER = 'mao-log-complete'
