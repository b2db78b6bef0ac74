namespace LightTunnel.Tests.WireGuard;

/// <summary>One published Noise handshake with the transport messages after it; everything in hexadecimal.</summary>
internal sealed record NoiseVector(
    string Protocol, string Prologue, string PresharedKey, string InitiatorStatic, string InitiatorEphemeral,
    string ResponderStatic, string ResponderEphemeral, string HandshakeHash, (string Payload, string Ciphertext)[] Messages);

/// <summary>
/// The entries for IK and IKpsk2 over 25519, ChaChaPoly and BLAKE2s of the cacophony and snow vector sets; snow gives no handshake hash.
/// </summary>
internal static class NoiseVectors
{
    public static readonly NoiseVector[] All =
    [
        new("Noise_IK_25519_ChaChaPoly_BLAKE2s",
            "4a6f686e2047616c74",
            "",
            "e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1",
            "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a",
            "4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893",
            "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b",
            "48f3cb8bc9319da4ba1e9933991b1c4ed4034f1f126a76d3a1fbcfd7f94248d4",
            [
                ("4c756477696720766f6e204d69736573",
                    "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c79440b03ddc7aac5123d06a1b23b71670e32e76c"
                    + "28239a7ca4ac8f784de7e44c1adbfc6e83fef7352a58d9d56157400c0a737b1d171ce368229c7b752ac25b8faf4eca690f6d"
                    + "896f543be02c996ab2b86b76"),
                ("4d757272617920526f746862617264",
                    "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f144808843d9b5a8927f0ac9655ef76833bc7e5561f42e"
                    + "691ac8404efd6fbd6308b6a27c"),
                ("462e20412e20486179656b",
                    "2c256ed08fcd08c2980f954ee4beaccb61c9581340f5dd2fd1cf3b"),
                ("4361726c204d656e676572",
                    "d6033f70eee20945c7c9dba304e397ee3b284ff5e00fd9efb095d3"),
                ("4a65616e2d426170746973746520536179",
                    "a9c068ca5d8babf72560652d8e851adbfac35c8a66e810d560863173e96adf4cfe"),
                ("457567656e2042f6686d20766f6e2042617765726b",
                    "2a09d8f459e5927e40fdd2eddc99bdafb04e13a26f145cb5cfe9e6ba34c94331ebc17d5156")
            ]),
        new("Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s",
            "4a6f686e2047616c74",
            "54686973206973206d7920417573747269616e20706572737065637469766521",
            "e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1",
            "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a",
            "4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893",
            "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b",
            "f5191b875290abcd41347ac3622d9679688a7e980229cb937ef748336cfde0e5",
            [
                ("4c756477696720766f6e204d69736573",
                    "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944001e21de9f98ddd8e2ad57527207feb56253"
                    + "c9c94a9e496782ecfcb2a75fbcaf1b52948cc48daefe660c62119ab5000980c84831215f2441eba616548e832985464cf17e"
                    + "51ee93109008399a21f7e13f"),
                ("4d757272617920526f746862617264",
                    "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f144808843cb765f2caef0751b8f007572dab032221775"
                    + "5c0632f365717edbf34d33e87a"),
                ("462e20412e20486179656b",
                    "8153ca9833bc3c1b91a7e66e5f4d4f5b59bf9e64c2f20d15f0bba7"),
                ("4361726c204d656e676572",
                    "07af0c9c86e1b4e80f36b04ff7688d51141af3debd0332f0a705ef"),
                ("4a65616e2d426170746973746520536179",
                    "6ab1467c0448cc78394494abaaf23afce0e234315d6e2624dcbfa8a21c1c4d073d"),
                ("457567656e2042f6686d20766f6e2042617765726b",
                    "dfc346c0d2296ae6cf1acf6f12b8456a1dba228cf8d8b774aacf1c47fc53aa80ebc7a4c292")
            ]),
        new("Noise_IK_25519_ChaChaPoly_BLAKE2s",
            "5468657265206973206e6f20726967687420616e642077726f6e672e2054686572652773206f6e6c792066756e20616e6420"
            + "626f72696e672e",
            "",
            "b7e117ce8ede06ceb89500799a3778d097fc54a3f90bea744493dfc24ec21f32",
            "cc95b4ccc4912c5a52c8d2f6b808e13712392c4468f4e3f02a7d2d1590cb9178",
            "e3187f5c10734e934be3a73c398c7fae07ba3e0cde2fcd9ab03a1c93dcae10f8",
            "587f83fe736432043d2665fbd47b0506b2cd103b6ba8577f72e117c7ffeb5105",
            "",
            [
                ("910ef4a7c04090f66403fcd8ffaed066e70ed38b576792c4a554cc5016fe5120",
                    "df44a475167152d3e4767b9ad5b28468fb8bd6aaa0b0e7181afd87ede7a8c971e818de301c97393bfa71ac250becfc8acef6"
                    + "4a969e039f407fe44c5ffc3d66d94ff57627ad4cc53882a1b2993babac3940edd1eaff34a3d3f08c53570166b3d29d06bd5d"
                    + "e3cfb9b85b66001a60a5bb98d72b80da9485655f86db72b46f745c4e"),
                ("3ce1e4d6e5f02bfeea1d6620cbf1473b5f55372d6954e98d3e12b6ffd04879d5",
                    "2818be348d38de5f9e3ef545c62e8e276c12e2a64410801a0284e02dfb0d450a848d1001977ef31dfe04b5c824acc04c7bda"
                    + "8490eab6cb6aaa844c4ddf0fda83ec84ed26cd6bee22fab17360b73de5b8"),
                ("31e7554ebce419a76bf5cd464e00594ccf55bdc09c234c450850d26ab164238c",
                    "89545eb9b2477d482156692214def7d5aecc00b9244b4435bdb768173841d2a2a2e52bcee32d64fe938c87594b17ee69"),
                ("794f643ba08cc7ee7aa39bc055560a0850dbc77bf34d8ab22019bf160ab2c573",
                    "fe35983c049b535cf9ca61cfad5b48e461da90c7c51cb5b873be10e58ae34a384aaebba7f96958b0ef0ac043c5e9c622")
            ]),
    ];
}
