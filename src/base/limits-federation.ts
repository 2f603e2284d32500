/** Bounds of membership: who asks to come in, and what may be said about it. */

/** Why a member was removed or a request denied: a few sentences for people. */
export const reasonLengthMax = 500
