//! One line a call of the registry: from it come the trait's method, the message that asks, and the one that answers.

/// Makes the trait, its request and reply enums, the server's dispatch and a client over any transport.
macro_rules! calls {
    ($(#[$tdoc:meta])* trait $Trait:ident, $Call:ident, $Reply:ident, $Error:ty;
     $( $(#[$doc:meta])* $Variant:ident $method:ident ( $($arg:ident : $ty:ty),* ) -> $out:ty; )+) => {
        $(#[$tdoc])*
        #[async_trait::async_trait]
        pub trait $Trait: Send + Sync {
            $( $(#[$doc])* async fn $method(&self, $($arg: $ty),*) -> Result<$out, $Error>; )+
        }

        /// A call as a message.
        #[derive(Clone, Debug, Serialize, Deserialize)]
        pub enum $Call { $( $Variant { $($arg: $ty),* } ),+ }

        /// What a call answers.
        #[derive(Clone, Debug, Serialize, Deserialize)]
        pub enum $Reply { $( $Variant($out) ),+ }

        impl $Call {
            /// Makes the call.
            pub async fn run(self, on: &dyn $Trait) -> Result<$Reply, $Error> {
                match self {
                    $( Self::$Variant { $($arg),* } => on.$method($($arg),*).await.map($Reply::$Variant) ),+
                }
            }
        }

        /// Carries messages to wherever the other side is.
        #[async_trait::async_trait]
        pub trait Carrier: Send + Sync {
            async fn carry(&self, call: $Call) -> Result<$Reply, $Error>;
        }

        /// The other side, as if it were here.
        #[derive(Clone, Debug)]
        pub struct Remote<C>(pub C);

        #[async_trait::async_trait]
        impl<C: Carrier> $Trait for Remote<C> {
            $( async fn $method(&self, $($arg: $ty),*) -> Result<$out, $Error> {
                match self.0.carry($Call::$Variant { $($arg),* }).await? {
                    $Reply::$Variant(out) => Ok(out),
                    _ => Err(<$Error>::wrong_reply(stringify!($method))),
                }
            } )+
        }
    };
}
pub(crate) use calls;
