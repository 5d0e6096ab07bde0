//! One way to declare the causes of a failure, each with all that belongs to it in one place.

/// Declares an enum of causes: for each its documentation, its variant, its stable code, and its text, in which fields
/// may stand in braces. Where one process tells another of a failure, a last variant passes on the code and the text.
macro_rules! causes {
    (
        $(#[$attribute:meta])+
        pub enum $name:ident {
            $(
                $(#[$doc:meta])+
                $variant:ident
                $({ $($(#[$field_doc:meta])+ $field:ident: $type:ty),+ $(,)? })?
                $(($value:ident: $value_type:ty))?
                = $code:literal, $text:literal $(, $argument:expr)?;
            )+
        }
        $(
            passed on as
            $(#[$reported_doc:meta])+
            $reported:ident;
        )?
    ) => {
        $(#[$attribute])+
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum $name {
            $(
                $(#[$doc])+
                $variant $({ $($(#[$field_doc])+ $field: $type),+ })? $(($value_type))?,
            )+
            $(
                $(#[$reported_doc])+
                $reported {
                    /// The code of its cause.
                    code: &'static str,
                    /// Its text.
                    message: $crate::basics::printable::Printable,
                },
            )?
        }

        impl $name {
            /// Every code, in the order of the variants. Numbers that stand for codes in memory count in this order.
            pub const CODES: &'static [&'static str] = &[$($code),+];

            /// Every text, as it is written.
            #[cfg(test)]
            pub(super) const TEXTS: &'static [&'static str] = &[$($text),+];

            /// The stable code of this cause.
            pub fn code(&self) -> &'static str {
                match self {
                    $($name::$variant { .. } => $code,)+
                    $($name::$reported { code, .. } => code,)?
                }
            }
        }

        impl ::std::fmt::Display for $name {
            #[allow(unused_variables)] // a text need not show every field
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                match self {
                    $(
                        $name::$variant $({ $($field),+ })? $(($value))? => {
                            write!(f, $text $(, $argument)?)
                        }
                    )+
                    $($name::$reported { message, .. } => message.fmt(f),)?
                }
            }
        }

        impl ::std::error::Error for $name {}
    };
}

pub(crate) use causes;
