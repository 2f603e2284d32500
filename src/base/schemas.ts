import { z } from 'zod'

/** Bytes as CBOR decodes them. */
export const bytesSchema = z.custom<Uint8Array>((value) => value instanceof Uint8Array, 'bytes are expected')

/** Base64 in its one spelling: bits that say nothing are zero, so that the same bytes have no second name. */
export const base64Schema = z
  .base64()
  .refine((text) => Buffer.from(text, 'base64').toString('base64') === text, 'has another spelling')
