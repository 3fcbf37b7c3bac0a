/** The keys of an EventBridge sink. */
export const schema = {
  type: 'object',
  required: ['bus'],
  properties: {
    bus: {
      type: 'string',
      minLength: 1,
      maxLength: 1600,
      description:
        'Name or ARN of the event bus. `default` is the bus of the account, which the events of AWS itself are on.',
      examples: ['k8s'],
    },
    region: {
      type: 'string',
      pattern: '^[a-z]+(-[a-z]+)+-[0-9]+$',
      description: 'AWS region of the bus. Without it: `AWS_REGION`, or what the profile says, as for every AWS SDK.',
      examples: ['eu-west-1'],
    },
    endpoint: {
      type: 'string',
      minLength: 1,
      description:
        'URL to send to instead of the public endpoint of the region: a VPC endpoint, or an emulator. Holds no credential.',
      examples: ['https://vpce-0123456789abcdef0.events.eu-west-1.vpce.amazonaws.com'],
    },
    source: {
      type: 'string',
      minLength: 1,
      maxLength: 256,
      default: 'ce',
      description:
        '`source` of the events on the bus. `ce`: that of the CloudEvent (kubernetes://CLUSTER/apis/apps/v1/deployments). Anything else is a fixed name; it must not begin with aws.',
      examples: ['com.example.kubernetes'],
    },
    requestBytes: {
      type: 'string',
      format: 'bytes',
      default: '1MB',
      description:
        'How large a request, and with it one event, may be, counted as AWS counts: 256KiB to 1MiB. A larger event goes out with a smaller payload.',
    },
  },
} as const
