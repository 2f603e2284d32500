/** A file is not what its name says, or has more in it than is compared that way; the message says which, of the file. */
export class Unreadable extends Error {}
