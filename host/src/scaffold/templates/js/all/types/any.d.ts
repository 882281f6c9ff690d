/// <reference path="./interfaces/backchannel-n2n-agreement.d.ts" />
/// <reference path="./interfaces/backchannel-n2n-blinding.d.ts" />
/// <reference path="./interfaces/backchannel-n2n-channel-keys.d.ts" />
/// <reference path="./interfaces/backchannel-n2n-handler.d.ts" />
/// <reference path="./interfaces/backchannel-n2n-initiator.d.ts" />
/// <reference path="./interfaces/backchannel-n2n-inputs.d.ts" />
/// <reference path="./interfaces/backchannel-n2n-log.d.ts" />
/// <reference path="./interfaces/backchannel-n2n-material.d.ts" />
/// <reference path="./interfaces/backchannel-n2n-random.d.ts" />
/// <reference path="./interfaces/backchannel-n2n-rounds.d.ts" />
/// <reference path="./interfaces/backchannel-n2n-sharing.d.ts" />
/// <reference path="./interfaces/backchannel-n2n-store.d.ts" />
/// <reference path="./interfaces/backchannel-n2n-types.d.ts" />
declare module 'backchannel:n2n/any@0.1.1' {
  export type * as BackchannelN2nAgreement011 from 'backchannel:n2n/agreement@0.1.1'; // import backchannel:n2n/agreement@0.1.1
  export type * as BackchannelN2nBlinding011 from 'backchannel:n2n/blinding@0.1.1'; // import backchannel:n2n/blinding@0.1.1
  export type * as BackchannelN2nChannelKeys011 from 'backchannel:n2n/channel-keys@0.1.1'; // import backchannel:n2n/channel-keys@0.1.1
  export type * as BackchannelN2nInputs011 from 'backchannel:n2n/inputs@0.1.1'; // import backchannel:n2n/inputs@0.1.1
  export type * as BackchannelN2nLog011 from 'backchannel:n2n/log@0.1.1'; // import backchannel:n2n/log@0.1.1
  export type * as BackchannelN2nMaterial011 from 'backchannel:n2n/material@0.1.1'; // import backchannel:n2n/material@0.1.1
  export type * as BackchannelN2nRandom011 from 'backchannel:n2n/random@0.1.1'; // import backchannel:n2n/random@0.1.1
  export type * as BackchannelN2nSharing011 from 'backchannel:n2n/sharing@0.1.1'; // import backchannel:n2n/sharing@0.1.1
  export type * as BackchannelN2nStore011 from 'backchannel:n2n/store@0.1.1'; // import backchannel:n2n/store@0.1.1
  export type * as BackchannelN2nTypes011 from 'backchannel:n2n/types@0.1.1'; // import backchannel:n2n/types@0.1.1
  export * as initiator from 'backchannel:n2n/initiator@0.1.1'; // export backchannel:n2n/initiator@0.1.1
  export * as handler from 'backchannel:n2n/handler@0.1.1'; // export backchannel:n2n/handler@0.1.1
  export * as rounds from 'backchannel:n2n/rounds@0.1.1'; // export backchannel:n2n/rounds@0.1.1
}
