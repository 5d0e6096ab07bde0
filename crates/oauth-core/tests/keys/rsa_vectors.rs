//! Tokens signed by RSA keys and paddings that no honest library makes.
//!
//! Made once with Python's `cryptography` and `openssl genpkey`; the private keys are gone. Header,
//! claims and signature of each are right but for what its line says, as the tests prove with aws-lc-rs.

/// RSA of 1024 bits.
pub const WEAK_JWK: &str = concat!(
    r#"{"kty":"RSA","kid":"rsa-1024","e":"AQAB","n":"q39XawSYC6xPwWlPOxanUlFYnJk0D33ViuZUuc"#,
    r#"9Mtpxb8pWi-tJQDxQsCfikKjSvmUIRJZmgfHh-d1Zs3bF4M317_qE7ZdEd2P65cQwi34ldp_h5W9wzfEwnwC"#,
    r#"PoHs1nSXt3kAhN3Fz4csr4OzUXBukyR_WbF60TLjHvvMDZtHk"}"#,
);

/// Signed with it (RS256).
pub const WEAK_TOKEN: &str = concat!(
    "eyJhbGciOiJSUzI1NiIsImtpZCI6InJzYS0xMDI0IiwidHlwIjoiYXQrand0In0.eyJpc3MiOiJodHRwczov",
    "L2lzc3Vlci5leGFtcGxlL3JlYWxtIiwic3ViIjoiYWxpY2UiLCJhdWQiOiJodHRwczovL3BnLmV4YW1wbGUv",
    "IiwiZXhwIjoxODAwMDAwMzAwLCJpYXQiOjE4MDAwMDAwMDAsImNsaWVudF9pZCI6InBzcWwiLCJzY29wZSI6",
    "Im9wZW5pZCBwb3N0Z3JlcyIsImp0aSI6InJzYS12ZWN0b3IifQ.aMxObZ43ZoWO6Qf7IHOnPrjRnMa7NeqAv",
    "p9EvHyWd7QYG2-jIiJecLx0XXYLkcMZEAjxbQgI8TTf--lcC-f-OXvc70p29Hbp0nvkTabyh-sbGlH4Wwlsi",
    "oDq4gBxillT-PY8TXbtdnypmd6mOlna24kCqCSuVxrYGyUpNSxxF7U",
);

/// RSA of 2047 bits: one bit less than RFC 7518 §3.3 demands.
pub const SHORT_JWK: &str = concat!(
    r#"{"kty":"RSA","kid":"rsa-2047","e":"AQAB","n":"ZLYlUFL8jhcU-U0fVx_oPPoS8r0XpD_SVHFAB7"#,
    r#"i-j5PbVkKCWNcGrNrnNJsHlMubRh2_gGg-OqIlOujUAvILa6crez4tar801p4VnygHLYKlnkHB7xgffpT2qu"#,
    r#"bTZsoHe2-vgeXFOzZKpcd0_W9ig6cirH_ZizsopQpCI8FbrjfzCj_SPkMc2p_NZrBpLzFfg_JqFzzu1Q2GQL"#,
    r#"dR3jMIdCggoRPhKLwEH1s8xDDTUUz9kzznGD0ZBBGbeY911sdLseqyClASe5SpK9x-gT5y_3i7P4lUA4YrFx"#,
    r#"fUlHc8hT85XwSHAY3nTstpxG97WayL_SECpVqxA39lu6GDGXhMNw"}"#,
);

/// Signed with it (RS256).
pub const SHORT_TOKEN: &str = concat!(
    "eyJhbGciOiJSUzI1NiIsImtpZCI6InJzYS0yMDQ3IiwidHlwIjoiYXQrand0In0.eyJpc3MiOiJodHRwczov",
    "L2lzc3Vlci5leGFtcGxlL3JlYWxtIiwic3ViIjoiYWxpY2UiLCJhdWQiOiJodHRwczovL3BnLmV4YW1wbGUv",
    "IiwiZXhwIjoxODAwMDAwMzAwLCJpYXQiOjE4MDAwMDAwMDAsImNsaWVudF9pZCI6InBzcWwiLCJzY29wZSI6",
    "Im9wZW5pZCBwb3N0Z3JlcyIsImp0aSI6InJzYS12ZWN0b3IifQ.XZiVdGvsXFG7Q1-KWPHNKVQk0Dva1MaVn",
    "qVkf80cYnspFzsiESYTyIeks_mnbbbxd_QanSpj2Bls2w2iUg97cqJ-Qf9A5h0mNBhUaXOq-tr856OGD0gb6",
    "l4q1CO3WY6rHBRY8i0uXxKeJaI0pgnL6h5x_gNooYvp1h_EfS8x4o36SbSYRkBilPjL_QGCyKf6ArK0tGySn",
    "-zeHSbuDNxfS-U-3MCvmZFIjeZ1mIaPy9wcOX08MyxODpq04agxBlFZQna327lDNNx01jX3JzQxMtk19tuV6",
    "axSC9YkAw3fusN0DkJ9nm8QTr8oP_b2Wx2ffOZa2xfUn2XAEu0KXKgVaA",
);

/// RSA of 2048 bits with the public exponent 3.
pub const EXPONENT_3_JWK: &str = concat!(
    r#"{"kty":"RSA","kid":"rsa-e3","e":"Aw","n":"mffWO5xw7OeH2Y_ntFoo2jqPa4ZzmCUKvISEYjTRZR"#,
    r#"Gr5GDqabH6rBKxiQI4LqG2gRrVCFekq6Z0plAG1qiaj23cSNbE8prMkZa-5C1tb8kzhjLupJUxcWwyMsEJPY"#,
    r#"VayPYzmJC-6SeWtpjWvjXSkp3z1FHhBh5MP0ZviaT0IqAwDoHdIVCMPuiRQVusbbEttZKdfex1LpaLePheXz"#,
    r#"-_p3uRBUMmV9_cTdr0YDkblUGsb_rbUPfZgOpem7W1URkhb5iIWfO78RXdKeci-svsPlhNNDeamV_LuMmFOr"#,
    r#"eZpFrE17MVpEcduW7mjlMyRMF3yZOlMIrW5CMjC3dkDtxuRw"}"#,
);

/// Signed with it (RS256).
pub const EXPONENT_3_TOKEN: &str = concat!(
    "eyJhbGciOiJSUzI1NiIsImtpZCI6InJzYS1lMyIsInR5cCI6ImF0K2p3dCJ9.eyJpc3MiOiJodHRwczovL2l",
    "zc3Vlci5leGFtcGxlL3JlYWxtIiwic3ViIjoiYWxpY2UiLCJhdWQiOiJodHRwczovL3BnLmV4YW1wbGUvIiw",
    "iZXhwIjoxODAwMDAwMzAwLCJpYXQiOjE4MDAwMDAwMDAsImNsaWVudF9pZCI6InBzcWwiLCJzY29wZSI6Im9",
    "wZW5pZCBwb3N0Z3JlcyIsImp0aSI6InJzYS12ZWN0b3IifQ.ggNlnGZP-cGiGdsTSSSXML95sFE3nDhuTAb4",
    "n_3VEYcHvGcokuStqjrFaXeJ7sgzLRJ2X5QqD_wDN5ZTJg4rPOq7C22vYW6X52S7Mt0ehL7ydXvqM4irNQTK",
    "zX0nfk15UOy919gI4kXuh6v-bbQxu7F_UZsQ9GXVk9rRtKJXgq_bINl_KULyNekoSiR7vKq82zsFB9vRCAG_",
    "Eo7AJifgeXRsk7Rb1l8A1kqpJtPAxKHWGQ8GOPHNU-wa16UVIcdjTiIK2inuVR0qcatwnYKnRCNmBSBzT3XA",
    "AIGnhGoYRRdGGpOAdp7wZUUWsRVUgMb6z5iLFqba77ipUH7oCIiRiA",
);

/// PS256 with the salt of 32 bytes that RFC 7518 §3.5 demands.
pub const PSS_SALT_32: &str = concat!(
    "eyJhbGciOiJQUzI1NiIsImtpZCI6InJzYS1lMyIsInR5cCI6ImF0K2p3dCJ9.eyJpc3MiOiJodHRwczovL2l",
    "zc3Vlci5leGFtcGxlL3JlYWxtIiwic3ViIjoiYWxpY2UiLCJhdWQiOiJodHRwczovL3BnLmV4YW1wbGUvIiw",
    "iZXhwIjoxODAwMDAwMzAwLCJpYXQiOjE4MDAwMDAwMDAsImNsaWVudF9pZCI6InBzcWwiLCJzY29wZSI6Im9",
    "wZW5pZCBwb3N0Z3JlcyIsImp0aSI6InJzYS12ZWN0b3IifQ.Bed2mlZ7b7aiaYSJxOtUwhblvzuGFs23luq6",
    "G1UrcZM-3fHQ6uXD9VNy2ZG0jKLNaZsmOJNH25M11zMZM84_hn2Y_mvIbLOondUVEM-p7lv8eAIdBiSHrbqW",
    "OwDWUls1fPoWjiGHgHU-VXKkfE5ZDrGFe5MzzY7izrKCX35ZaVrmvnGQc7QTHDzWjeJ07kFHFS9jQTDz2MDW",
    "E5Oz55ePUaAWt2ewmP-zlN61rIPD_NecmpwzaK80RBjJIxqjkMhBHlx3I6Vl46qZtveKW4QthuYXZqpchDYs",
    "W8vGjuEvQDz-D3uN6LSqfB0LoacJxd0tP88ReQlQIk24OkyqF4rvUQ",
);

/// PS256 with a salt of 20 bytes.
pub const PSS_SALT_20: &str = concat!(
    "eyJhbGciOiJQUzI1NiIsImtpZCI6InJzYS1lMyIsInR5cCI6ImF0K2p3dCJ9.eyJpc3MiOiJodHRwczovL2l",
    "zc3Vlci5leGFtcGxlL3JlYWxtIiwic3ViIjoiYWxpY2UiLCJhdWQiOiJodHRwczovL3BnLmV4YW1wbGUvIiw",
    "iZXhwIjoxODAwMDAwMzAwLCJpYXQiOjE4MDAwMDAwMDAsImNsaWVudF9pZCI6InBzcWwiLCJzY29wZSI6Im9",
    "wZW5pZCBwb3N0Z3JlcyIsImp0aSI6InJzYS12ZWN0b3IifQ.cYqC953Ae5QjLPaWjy6ts1p4AnU1FC833fdq",
    "ey-K2XbBuW2L9rxYnAaBnfzB_FyWM3qo96_hxx-eREri5-koEcJ50imDbx6JZNC3EZc2H6NGLoJ_iseIS-Tp",
    "yHwZ8ldulO-rqeZronkIL2xKzwRv47-jQc4rp9L8QC-KC438PNTueV3s43J6tWH8EEFepZqq6JjX-2rENyNh",
    "lVuub-JfD_rCM2OqUl11x_EVka9LkjVCmryiAYbpJMsAiQsAVMZiDEVG5iRrC1zMhVpu6ou_Irjmaz69uxY2",
    "Zds6sFY8MBVmqlcTUNYhL4lNgspnWpJJo2wHL6Wi78dc2b_0LHzX3g",
);

/// PS256 without a salt.
pub const PSS_SALT_0: &str = concat!(
    "eyJhbGciOiJQUzI1NiIsImtpZCI6InJzYS1lMyIsInR5cCI6ImF0K2p3dCJ9.eyJpc3MiOiJodHRwczovL2l",
    "zc3Vlci5leGFtcGxlL3JlYWxtIiwic3ViIjoiYWxpY2UiLCJhdWQiOiJodHRwczovL3BnLmV4YW1wbGUvIiw",
    "iZXhwIjoxODAwMDAwMzAwLCJpYXQiOjE4MDAwMDAwMDAsImNsaWVudF9pZCI6InBzcWwiLCJzY29wZSI6Im9",
    "wZW5pZCBwb3N0Z3JlcyIsImp0aSI6InJzYS12ZWN0b3IifQ.h3iFV9Eq-dUEvLd94wEgRmfy8FNKmPOoNeIN",
    "cICNv6nKpySuV7UYi7wsdgQ1a6NbwqAB16DMxKi7ENElgUHMooPp5H-4rKb-jxyu2SGsET46b2y06BEMHWt5",
    "AxJP_v14snHlXpMJS8dwKAI8MeMIJa8gC1qtFswpwy0e3-6qr4BPc_mT-xJOhl0zWYQTWChWLdAJ02RCbhdc",
    "A9pIgwYqodosG7q3cJBsgLcOp4ftoHlNGRGAUPT_nAN0Vd7hkZbnmHGj1DrKf83m6cf7V-pPhovktYNkFmDG",
    "NPfBMdRzRNKWuLgEFcUbxh2g8S3bJlHiAhu3SXpTNgIfFYqldqlHyg",
);

/// PS256 with the longest salt that fits.
pub const PSS_SALT_MAX: &str = concat!(
    "eyJhbGciOiJQUzI1NiIsImtpZCI6InJzYS1lMyIsInR5cCI6ImF0K2p3dCJ9.eyJpc3MiOiJodHRwczovL2l",
    "zc3Vlci5leGFtcGxlL3JlYWxtIiwic3ViIjoiYWxpY2UiLCJhdWQiOiJodHRwczovL3BnLmV4YW1wbGUvIiw",
    "iZXhwIjoxODAwMDAwMzAwLCJpYXQiOjE4MDAwMDAwMDAsImNsaWVudF9pZCI6InBzcWwiLCJzY29wZSI6Im9",
    "wZW5pZCBwb3N0Z3JlcyIsImp0aSI6InJzYS12ZWN0b3IifQ.dIxGaaAfbnfRF-yV_XDm6nbwAczUZPip_PVA",
    "oBgyPV73lwEoyxjtQ4je2r1epQlZXDtmstUrpFE4RKnn1YJ6YIpgb2SuWDRTXwaEN5N6twrSUjzVxgKYg5WG",
    "RkAJuI5CcPbgc4RKnLTbBodgFo6QXfrjL6aO4jYtQGZgpr5x6CXqXnmFFg_ervjR4hLagss6W8a6zHsHAuka",
    "kOpSC9N8kL9IO7Mi_POp0LD8pOldbcXplBeIznuqF3GFXoYgZiVGsT0aMnk-FerFUZOME1o10rQ4zq2s5WK0",
    "9Utsen6zPxxtstdsHGXSCrO-0LfuKN1nh_kHyH3kISNvfqVebfv7gQ",
);

/// RS256 whose DigestInfo leaves out the NULL parameters (RFC 8017 §9.2, note 1).
pub const PKCS1_NO_NULL: &str = concat!(
    "eyJhbGciOiJSUzI1NiIsImtpZCI6InJzYS1lMyIsInR5cCI6ImF0K2p3dCJ9.eyJpc3MiOiJodHRwczovL2l",
    "zc3Vlci5leGFtcGxlL3JlYWxtIiwic3ViIjoiYWxpY2UiLCJhdWQiOiJodHRwczovL3BnLmV4YW1wbGUvIiw",
    "iZXhwIjoxODAwMDAwMzAwLCJpYXQiOjE4MDAwMDAwMDAsImNsaWVudF9pZCI6InBzcWwiLCJzY29wZSI6Im9",
    "wZW5pZCBwb3N0Z3JlcyIsImp0aSI6InJzYS12ZWN0b3IifQ.P4DkvcCk7AHiRLRMb0xdlEhzhb_hqI3s_3kq",
    "cpUFcPWUiztFBGFw_Tbp80tO2ygjDUwhTtGHpEL44k8odkz4znZKQvnNU5jlq-W_7I7HFssPaUyqpXjCnJKR",
    "maEjoPLeUeTQ9Za4gdXPqO_gI8uGWxrtYu5e5PNlVuywuvEzURGBj0a-23VNZlIlsO8cE86Xq0lKVpNlo4L6",
    "owZ7iw8w6h7oiqJByA66q-Qa4jtuz-0eDW9Tk0mz_z4Eh1ze0KEd7QMg0Mw_ex6UXlJIf5ygriagtCyIj0W2",
    "Y_xYSgcrHkzFyj3363t-6DV_srf8XI0NKAjIBXzBcTmUCzfeqzLY-g",
);

/// RS256 over a SHA-1 digest.
pub const PKCS1_SHA1: &str = concat!(
    "eyJhbGciOiJSUzI1NiIsImtpZCI6InJzYS1lMyIsInR5cCI6ImF0K2p3dCJ9.eyJpc3MiOiJodHRwczovL2l",
    "zc3Vlci5leGFtcGxlL3JlYWxtIiwic3ViIjoiYWxpY2UiLCJhdWQiOiJodHRwczovL3BnLmV4YW1wbGUvIiw",
    "iZXhwIjoxODAwMDAwMzAwLCJpYXQiOjE4MDAwMDAwMDAsImNsaWVudF9pZCI6InBzcWwiLCJzY29wZSI6Im9",
    "wZW5pZCBwb3N0Z3JlcyIsImp0aSI6InJzYS12ZWN0b3IifQ.JFMSwyM4FexvI60Z5kZO5RUwKrMCYGl1P1xe",
    "iKwgQe8TaTisbCaXGIdqG0k8m3QR_ahvq__uao3OWpJoW9O4iFIEeiRtiAHvYmBYQZo4yBOwYuN84rTHruFi",
    "WLN2J4pEAG2O5LbwYDCVx4mrBMjxT02ef8ORnkTSs3DaByJOsF54nKGYhnkAB98hZfKAqAZp5CbQgEjmve7b",
    "avBrets9Up-aZjUUpf4ktjDqT5nOOi4RHzGd9xHR-r4_h1yJ9_37oIENdgR-Q__NimSBRUhQo_b4thweNwHH",
    "raRgd_AmJza_HmdKhHGmrk1UFWeVcdITOyXJyq10pH403iZbjY2svQ",
);

/// RS256 with eight bytes of padding and the rest behind the digest (Bleichenbacher 2006).
pub const PKCS1_SHORT_PADDING: &str = concat!(
    "eyJhbGciOiJSUzI1NiIsImtpZCI6InJzYS1lMyIsInR5cCI6ImF0K2p3dCJ9.eyJpc3MiOiJodHRwczovL2l",
    "zc3Vlci5leGFtcGxlL3JlYWxtIiwic3ViIjoiYWxpY2UiLCJhdWQiOiJodHRwczovL3BnLmV4YW1wbGUvIiw",
    "iZXhwIjoxODAwMDAwMzAwLCJpYXQiOjE4MDAwMDAwMDAsImNsaWVudF9pZCI6InBzcWwiLCJzY29wZSI6Im9",
    "wZW5pZCBwb3N0Z3JlcyIsImp0aSI6InJzYS12ZWN0b3IifQ.NEh6C9GMEfyBqxFJplV2UVbiY5VGcHd5giVi",
    "41nt6uU1XPtHb4qzcEf5cZNlpEMt5PaZ_k8mtj4H0i9h140VOkbz6d_KnKp3Qat1AKYz6GkVA6ld0Zad38cH",
    "9t7FQqIh694INdmYXYXdILKg5_f6Hv1aA881EOEOLpnYH1wTbGwih9uYX8N13Snt1UKCpH2RvUIcp-GUKOeJ",
    "H8_vwbSP6_S6FP6KR-JK6pMyAsncZXJ7UZ9VEigVCraJyvPPfo89U5-wZBnyzbRr0xUuxXzfiswI3191bGb7",
    "iFksWSsvqFa583LqdFQIorKXlx1Cjv_hpkm-LalyFZk2c66k1D5bKQ",
);

/// RS256 with the padding of an encryption (block type 2).
pub const PKCS1_TYPE_2: &str = concat!(
    "eyJhbGciOiJSUzI1NiIsImtpZCI6InJzYS1lMyIsInR5cCI6ImF0K2p3dCJ9.eyJpc3MiOiJodHRwczovL2l",
    "zc3Vlci5leGFtcGxlL3JlYWxtIiwic3ViIjoiYWxpY2UiLCJhdWQiOiJodHRwczovL3BnLmV4YW1wbGUvIiw",
    "iZXhwIjoxODAwMDAwMzAwLCJpYXQiOjE4MDAwMDAwMDAsImNsaWVudF9pZCI6InBzcWwiLCJzY29wZSI6Im9",
    "wZW5pZCBwb3N0Z3JlcyIsImp0aSI6InJzYS12ZWN0b3IifQ.TdF388bK0qOlp993gPRg0cjI5sjC70IVZkAS",
    "AeIdrz5xIbdPjhjVuPiv8uX7Wez0w4ptHCNWWWlELFD9juI0rEuwEyGbJ3QKqU5vpgPnWxE_nbYVbzi5B74O",
    "gfRO-oTEpnz-gVX_WvQ20lSKROPn8r2ahc15m3xAQHWso-4dNfG1RManIKTtj-YHWDDvyXh8XBpohQbfp0Ia",
    "84ZEWs4mKCN4Mx-NoS92zC7edmNLGVK-b1TlHpCZB0EkfBhoOAXuqy5SmN5xHzwO-HCyMrCxbG0c6EdWP_YV",
    "sfQMGX1yNLeCuNQpV5FIu8BFYqtQvmNxvcIEx4KSboVlgugcpbmyCg",
);
