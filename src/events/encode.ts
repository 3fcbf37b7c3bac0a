/** CloudEvents encoders. Pure functions. */
export interface CloudEventAttributes {
  readonly specversion: '1.0'
  readonly id: string
  readonly source: string
  readonly type: string
  readonly datacontenttype: 'application/json'
  readonly dataschema: string
  readonly time: string
  readonly subject?: string
  /** Extensions: Strings and Booleans. */
  readonly [name: string]: string | boolean | undefined
}
export declare function structured(attributes: CloudEventAttributes, data: string | undefined): string
export declare function httpBinary(
  attributes: CloudEventAttributes,
  data: string | undefined,
): { headers: Record<string, string>; body: string | undefined }
