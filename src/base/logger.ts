import { type DestinationStream, type Logger as PinoLogger, pino } from 'pino'

/** What the rooms ask of a log: levels with structured fields first, and children that carry their room's name. */
export type Logger = Pick<PinoLogger, 'debug' | 'info' | 'warn' | 'error'> & {
  child(bindings: { readonly [field: string]: unknown }): Logger
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

/** Fields that never reach a log, at any of the depths where our own objects carry them. */
const SECRET_FIELDS = ['token', 'secret', 'authorization', 'password', 'privateKey', 'env']

/** Structured JSON lines on `destination` (default: standard error, so that standard output stays the program's). */
export function createLogger(level: LogLevel, destination?: DestinationStream): Logger {
  const redact = SECRET_FIELDS.flatMap((field) => [field, `*.${field}`, `*.*.${field}`])
  const options = { level, redact, base: null, timestamp: pino.stdTimeFunctions.isoTime }
  return pino(options, destination ?? pino.destination({ dest: 2, sync: true }))
}

export const silentLogger: Logger = createLogger('silent')
