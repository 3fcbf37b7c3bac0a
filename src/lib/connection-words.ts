/** What a code of a failed connection means to whoever set it up. */

const AUTHORITY = 'no authority that is trusted here has signed its certificate; set tls.ca'
const NO_TLS = 'it does not speak TLS there'

const words: Readonly<Record<string, string>> = {
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name or address',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet; is the clock right?',
  DEPTH_ZERO_SELF_SIGNED_CERT: AUTHORITY,
  SELF_SIGNED_CERT_IN_CHAIN: AUTHORITY,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT: AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: AUTHORITY,
  ERR_SSL_WRONG_VERSION_NUMBER: NO_TLS,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: NO_TLS,
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: 'it wants a client certificate; set tls.cert and tls.key',
  ENOTFOUND: 'there is no such name',
  EAI_AGAIN: 'its name cannot be resolved',
}

/** `ENOTFOUND: there is no such name`; a code that explains itself, or that nobody knows, is left alone. */
export function connectionWords(code: string): string {
  return Object.hasOwn(words, code) ? `${code}: ${words[code]}` : code
}
