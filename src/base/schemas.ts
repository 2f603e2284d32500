import { z } from 'zod'

/** Bytes as CBOR decodes them. */
export const bytesSchema = z.custom<Uint8Array>((value) => value instanceof Uint8Array, 'bytes are expected')
