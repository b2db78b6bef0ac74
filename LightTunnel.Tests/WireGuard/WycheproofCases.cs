using Xunit;

namespace LightTunnel.Tests.WireGuard;

/// <summary>
/// Cases of C2SP Wycheproof (testvectors_v1: x25519, chacha20_poly1305, xchacha20_poly1305), by their tcId: ordinary ones, edge cases of
/// Poly1305, forged tags, public keys of low order and such that are not canonical.
/// </summary>
internal static class WycheproofCases
{
    /// <summary>tcId, private key, public key, shared secret.</summary>
    public static readonly TheoryData<int, string, string, string> Agreements = new()
    {
        {
            1, "c8a9d5a91091ad851c668b0736c1c9a02936c0d3ad62670858088047ba057475",
            "504a36999f489cd2fdbc08baff3d88fa00569ba986cba22548ffde80f9806829",
            "436a2c040cf45fea9b29a0cb81b1f41458f863d0d61b453d0a982720d6d61320"
        },
        {
            2, "d85d8c061a50804ac488ad774ac716c3f5ba714b2712e048491379a500211958",
            "63aa40c6e38346c5caf23a6df0a5e6c80889a08647e551b3563449befcfc9733",
            "279df67a7c4611db4708a0e8282b195e5ac0ed6f4b2f292c6fbd0acac30d1332"
        },
        {
            3, "c8b45bfd32e55325d9fd648cb302848039000b390e44d521e58aab3b29a6964b",
            "0f83c36fded9d32fadf4efa3ae93a90bb5cfa66893bc412c43fa7287dbb99779",
            "4bc7e01e7d83d6cf67632bf90033487a5fc29eba5328890ea7b1026d23b9a45f"
        },
        {
            87, "0016b62af5cabde8c40938ebf2108e05d27fa0533ed85d70015ad4ad39762d54",
            "efffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "b4d10e832714972f96bd3382e4d082a21a8333a16315b3ffb536061d2482360d"
        },
        {
            88, "d83650ba7cec115881916255e3fa5fa0d6b8dcf968731bd2c9d2aec3f561f649",
            "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "515eac8f1ed0b00c70762322c3ef86716cd2c51fe77cec3d31b6388bc6eea336"
        },
        {
            89, "88dd14e2711ebd0b0026c651264ca965e7e3da5082789fbab7e24425e7b4377e",
            "f1ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "6919992d6a591e77b3f2bacbd74caf3aea4be4802b18b2bc07eb09ade3ad6662"
        },
        {
            90, "98c2b08cbac14e15953154e3b558d42bb1268a365b0ef2f22725129d8ac5cb7f",
            "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "9c034fcd8d3bf69964958c0105161fcb5d1ea5b8f8abb371491e42a7684c2322"
        },
        {
            93, "20620d82487707bedf9ee3549e95cb9390d2618f50cf6acba47ffaa103224a6f",
            "0400000000000000000000000000000000000000000000000000000000000080",
            "03a633df01480d0d5048d92f51b20dc1d11f73e9515c699429b90a4f6903122a"
        },
        {
            95, "c8e0330ae9dceeff887fba761225879a4bd2e0db08799244136e4721b2c88970",
            "dbffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            "dfe60831c9f4f96c816e51048804dbdc27795d760eced75ef575cbe3b464054b"
        },
        {
            99, "c85f08e60c845f82099141a66dc4583d2b1040462c544d33d0453b20b1a6377e",
            "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            "e9db74bc88d0d9bf046ddd13f943bccbe6dbb47d49323f8dfeedc4a694991a3c"
        },
        {
            120, "0840a8af5bc4c48da8850e973d7e14220f45c192cea4020d377eecd25c7c3643",
            "1200000000000000000000000000000000000000000000000000000000000000",
            "77557137a2a2a651c49627a9b239ac1f2bf78b8a3e72168ccecc10a51fc5ae66"
        },
        {
            200, "e82313e451a198dce4ae95c6832a8281d847fc87b28db00fe43757c16cc49c4a",
            "9a2acbb3b5a386a6102e3728be3a97de03981d5c71fd2d954604bee3d3d0ce62",
            "e5772a92b103ee696a999705cf07110c460f0545682db3fac5d875d69648bc68"
        },
    };

    /// <summary>tcId, private key, public key; the shared secret would be zero.</summary>
    public static readonly TheoryData<int, string, string> LowOrder = new()
    {
        {
            32, "88227494038f2bb811d47805bcdf04a2ac585ada7f2f23389bfd4658f9ddd45e",
            "0000000000000000000000000000000000000000000000000000000000000000"
        },
        {
            33, "48232e8972b61c7e61930eb9450b5070eae1c670475685541f0476217e48184f",
            "0100000000000000000000000000000000000000000000000000000000000000"
        },
        {
            63, "e0f978dfcd3a8f1a5093418de54136a584c20b7b349afdf6c0520886f95b1272",
            "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"
        },
        {
            64, "387355d995616090503aafad49da01fb3dc3eda962704eaee6b86f9e20c92579",
            "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"
        },
        {
            65, "c8fe0df92ae68a03023fc0c9adb9557d31be7feed0d3ab36c558143daf4dbb40",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"
        },
        {
            66, "c8d74acde5934e64b9895d5ff7afbffd7f704f7dfccff7ac28fa62a1e6410347",
            "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b880"
        },
        {
            67, "b85649d5120e01e8ccaf7b2fb8d81b62e8ad6f3d5c0553fdde1906cb9d79c050",
            "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f11d7"
        },
        {
            68, "2064b2f4c9dc97ec7cf58932fdfa3265ba6ea4d11f0259b8efc8afb35db88c48",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
        },
        {
            74, "786a33a4f7af297a20e7642925932bf509e7070fa1bc36986af1eb13f4f50b55",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"
        },
        {
            75, "786a33a4f7af297a20e7642925932bf509e7070fa1bc36986af1eb13f4f50b55",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"
        },
        {
            76, "786a33a4f7af297a20e7642925932bf509e7070fa1bc36986af1eb13f4f50b55",
            "0000000000000000000000000000000000000000000000000000000000000080"
        },
        {
            77, "786a33a4f7af297a20e7642925932bf509e7070fa1bc36986af1eb13f4f50b55",
            "0100000000000000000000000000000000000000000000000000000000000080"
        },
        {
            81, "786a33a4f7af297a20e7642925932bf509e7070fa1bc36986af1eb13f4f50b55",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
        },
        {
            82, "786a33a4f7af297a20e7642925932bf509e7070fa1bc36986af1eb13f4f50b55",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
        },
    };

    /// <summary>
    /// tcId, key, nonce, associated data, plaintext, ciphertext and tag, whether it is authentic. The first is RFC 8439 section 2.8.2.
    /// </summary>
    public static readonly TheoryData<int, string, string, string, string, string, bool> ChaCha20Poly1305 = new()
    {
        {
            1, "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f", "070000004041424344454647",
            "50515253c0c1c2c3c4c5c6c7",
            "4c616469657320616e642047656e746c656d656e206f662074686520636c617373206f66202739393a204966204920636f75"
            + "6c64206f6666657220796f75206f6e6c79206f6e652074697020666f7220746865206675747572652c2073756e7363726565"
            + "6e20776f756c642062652069742e",
            "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b1a71"
            + "de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def0"
            + "8e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691",
            true
        },
        {
            2, "80ba3192c803ce965ea371d5ff073cf0f43b6a2ab576b208426e11409c09b9b0", "4da5bf8dfd5852c1ea12379d",
            "",
            "",
            "76acb342cf3166a5b63c0c0ea1383c8d",
            true
        },
        {
            3, "7a4cd759172e02eb204db2c3f5c746227df584fc1345196391dbb9577a250742", "a92ef0ac991dd516a3c6f689",
            "bd506764f2d2c410",
            "",
            "906fa6284b52f87b7359cbaa7563c709",
            true
        },
        {
            4, "cc56b680552eb75008f5484b4cb803fa5063ebd6eab91f6ab6aef4916a766273", "99e23ec48985bccdeeab60f1",
            "",
            "2a",
            "3acac27dec0968801e9f6eded69d807522",
            true
        },
        {
            8, "bd8ed7fb0d607522f04d0b12d42c92570bccc5ba2486953d70ba2e8193f6225a", "d2ab0abb50a8e9fba25429e1",
            "",
            "201221",
            "3cf470a27a69c9d7ee84586f11388c6884e63a",
            true
        },
        {
            20, "e1094967f86d893cdfe2e2e6d5c7ee4dfef67da3c9c5d64e6ad7c1577dcb38c5", "8092fc245b3326cddbd1424c",
            "",
            "c37aa791ddd6accf91",
            "d9d897a9c1c5bb9f01085a430373058f1a12a0d589fd5be68b",
            true
        },
        {
            146, "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f", "000102030405060708090a0b",
            "000102",
            "",
            "f5409bb729039d0814ac514054323f44",
            false
        },
        {
            153, "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f", "000102030405060708090a0b",
            "000102",
            "",
            "f4409bb729039d8814ac514054323f44",
            false
        },
        {
            162, "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f", "000102030405060708090a0b",
            "000102",
            "",
            "f4409bb729039d0814ac514054323fc4",
            false
        },
        {
            164, "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f", "000102030405060708090a0b",
            "000102",
            "",
            "00000000000000000000000000000000",
            false
        },
        {
            165, "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f", "000102030405060708090a0b",
            "000102",
            "",
            "ffffffffffffffffffffffffffffffff",
            false
        },
        {
            170, "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f", "000102030405060708090a0b",
            "000102",
            "000102030405060708090a0b0c0d0e0f",
            "d03bcb3ca52d48d1d203b1e7b1a5995a29914087a6119dd3f109bba21ce9a7d6",
            false
        },
        {
            184, "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f", "000102030405060708090a0b",
            "000102",
            "000102030405060708090a0b0c0d0e0f",
            "d03bcb3ca52d48d1d203b1e7b1a5995a00000000000000000000000000000000",
            false
        },
        {
            186, "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f", "000102030405060708090a0b",
            "000102",
            "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20",
            "d03bcb3ca52d48d1d203b1e7b1a5995af1a0466a61bb386a2e12d189a2c4ea15e967405a16e8b44eba92aa47f5cea52b7a",
            false
        },
        {
            203, "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f", "000102030405060708090a0b",
            "000102",
            "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20",
            "d03bcb3ca52d48d1d203b1e7b1a5995af1a0466a61bb386a2e12d189a2c4ea15e966405a16e8b44e3a92aa47f5cea52bfa",
            false
        },
        {
            205, "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f", "000102030405060708090a0b",
            "000102",
            "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20",
            "d03bcb3ca52d48d1d203b1e7b1a5995af1a0466a61bb386a2e12d189a2c4ea15e9ffffffffffffffffffffffffffffffff",
            false
        },
        {
            206, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "000102030405060710abb165",
            "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
            + "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            "dc8ce708bf26aab862d97e1b42f31ef38c382cf07174142ea564920612997b1c2e38aca2438b588d5459493e97e7fa330ff9"
            + "bc3b9458297ba0967d86ed090b435103478f2869b93ee29c837e95fb6b9903f3b735b7345428eb93b3db1d9b5187cebb889a"
            + "a177d83e4f63fc9a5c0596eed939883d06aacdfdea44fdecdf5cb7fc",
            "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
            + "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
            + "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffc296436246c3a7c4b3ba09ab2a6a0889",
            true
        },
        {
            240, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "000102030405060710abb165",
            "ffffffff",
            "fa8ce708bf26aab862d97e1b42f31ef39bcbb8da477d580d772de4229bba7de22938aca2438b588d5459493e97e7fa331e9d"
            + "edf9dd64a0681bac2969549425bc5603478f2869b93ee29c837e95fb6b991297e6f7fe08dd3b50a9e734a4067f78",
            "d9ffffffffffffffffffffffffffffffe80c6bd5c9f6b3dc2db689db76dcf901f8ffffffffffffffffffffffffffffffee9b"
            + "ae3db6c376ec44c5ab104662d100f8ffffffffffffffffffffffffffffffee9bae3db6c376ec44c5ab104662d1002b7216c7"
            + "873744c20ec5e2cdb260d3fa",
            true
        },
        {
            290, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "000102030405060703e76f6f",
            "ffffffff",
            "15de9b9ec8b247d42bbee2016d6715bacc1629a40cd11eafdf04138b45afe458eff0b056a2eecc51d30838e640615e14340a"
            + "c9b45a5896a418a8cee8032e078f00d14da7b4f76f9f68fa8903138d563c8eb3577b4abdf1fec1c2a0ee747286da",
            "f5ffffffffffffffffffffffffffffff71635318e71e0b8a765929a82e1b7101deffffffffffffffffffffffffffffff9315"
            + "a275955e72fffc1453ed6207fb0bdeffffffffffffffffffffffffffffff9315a275955e72fffc1453ed6207fb0bc6f23204"
            + "865b0adde0070037d6538dd3",
            true
        },
        {
            300, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "000102030405060703e76f6f",
            "ffffffff",
            "f4ebbe3fca96bc4885b35582c43e0eb3588a85431430eada56a2c5dc944b6aa6b4570e8446e886bcbff82a24f49be5ed42e0"
            + "943e30f91ba41b4362fa9ed6037b5b76f37550f12572040a9bc1a777edc5",
            "14cada5efddb046351f2487c56a6e4f6e5ffffffffffffffffffffffffffffff8558412d1bf9b512930fed3d4b054406e5ff"
            + "ffffffffffffffffffffffffffff8558412d1bf9b512930fed3d4b054406af7293eb09957d9de7432dd41316f0e4",
            true
        },
    };

    /// <summary>
    /// tcId, key, nonce, associated data, plaintext, ciphertext and tag, whether it is authentic. The first is
    /// draft-irtf-cfrg-xchacha appendix A.3.
    /// </summary>
    public static readonly TheoryData<int, string, string, string, string, string, bool> XChaCha20Poly1305 = new()
    {
        {
            1, "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f", "404142434445464748494a4b4c4d4e4f5051525354555657",
            "50515253c0c1c2c3c4c5c6c7",
            "4c616469657320616e642047656e746c656d656e206f662074686520636c617373206f66202739393a204966204920636f75"
            + "6c64206f6666657220796f75206f6e6c79206f6e652074697020666f7220746865206675747572652c2073756e7363726565"
            + "6e20776f756c642062652069742e",
            "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39ae64"
            + "c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff921f9664c"
            + "97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780acf49",
            true
        },
        {
            2, "ab1562faea9f47af3ae1c3d6d030e3af230255dff3df583ced6fbbcbf9d606a9", "6a5e0c4617e07091b605a4de2c02dde117de2ebd53b23497",
            "",
            "",
            "e2697ea6877aba39d9555a00e14db041",
            true
        },
        {
            3, "d821dce9b890ea37ae1c89e7cb6aeae9371b8179add0d08f5494718322ae0071", "3ec3f7c45e687d75a895bf5e71809e7cdac32158bb48ec0d",
            "8780fb400f94c55d",
            "",
            "966c22d655b9e56326024f028cf887ad",
            true
        },
        {
            8, "17afb080753f2aa0af0a7f4821f6ab2709a6b2b5b9f2f262910e3b27b82c6c1c", "737e3e7699f788c4136938c0f65310684eacbb5f96ecd98d",
            "",
            "2af96a",
            "31a4612b745098b154bb90903b0240c3bc95e9",
            true
        },
        {
            146, "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f", "000102030405060708090a0b0c0d0e0f1011121314151617",
            "000102",
            "",
            "0418b3e73e52c3be2eaba76807b784e1",
            false
        },
        {
            153, "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f", "000102030405060708090a0b0c0d0e0f1011121314151617",
            "000102",
            "",
            "0518b3e73e52c33e2eaba76807b784e1",
            false
        },
        {
            164, "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f", "000102030405060708090a0b0c0d0e0f1011121314151617",
            "000102",
            "",
            "00000000000000000000000000000000",
            false
        },
        {
            165, "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f", "000102030405060708090a0b0c0d0e0f1011121314151617",
            "000102",
            "",
            "ffffffffffffffffffffffffffffffff",
            false
        },
        {
            184, "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f", "000102030405060708090a0b0c0d0e0f1011121314151617",
            "000102",
            "000102030405060708090a0b0c0d0e0f",
            "b70886f2313d015e1fe741365f5e35f100000000000000000000000000000000",
            false
        },
        {
            203, "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f", "000102030405060708090a0b0c0d0e0f1011121314151617",
            "000102",
            "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20",
            "b70886f2313d015e1fe741365f5e35f1080e0f78ccfb51809417e879689418ef988061d3df0640715f8082a0f813417f85",
            false
        },
        {
            205, "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f", "000102030405060708090a0b0c0d0e0f1011121314151617",
            "000102",
            "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20",
            "b70886f2313d015e1fe741365f5e35f1080e0f78ccfb51809417e879689418ef98ffffffffffffffffffffffffffffffff",
            false
        },
        {
            206, "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f", "000102030405060708090a0b0c0d0e0f101112133e8775b2",
            "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
            + "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            "7ee395bd21ada42ed12310d34918a28e596a49ee7a22f623d756b896663f68733e6c71a344f4726ac24e330679f25e492be0"
            + "8603aaa23f1e88c10299047c8e585983332a8b6eadcd9b6061b63fe3b58a2021b38c7cf379fe9a9f6d114f3cfe422f91af78"
            + "c6fd87d4269af0e3e471abed457ae75c027e134c96cf4d9a4a646288",
            "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
            + "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
            + "ffffffffffffffffffffffffffffffffffffffffffffffffffffffff4921f7c24a2d42f4da7ad9d45e8ec26c",
            true
        },
        {
            240, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "000102030405060708090a0b0c0d0e0f101112130bc672c3",
            "ffffffff",
            "cfb62cbb6fdf40d883c45cb4b0a82da13e4866c40629725ae6d371e4d8ad3a8f92d8c312995cc78a7f3bc84c64f3f7e0995d"
            + "6f8990f1b8db1b0c1d14b5157441e68505e49ef9181a4c91369febb24056",
            "103caf3ebbe98a82548702641e4b4fbaffffffffffffffffffffffffffffffffa91540c214d33f5c84c197d8a84aab9affff"
            + "ffffffffffffffffffffffffffffa91540c214d33f5c84c197d8a84aab9a6de463b996392430a1f7603acbf06458",
            true
        },
        {
            290, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "000102030405060708090a0b0c0d0e0f10111213019836bb",
            "ffffffff",
            "46e1c47ac0fd4564f8644238fdea86fc4fb413ceef1a933cd186a129011d88b62cd554203c21345c59229130a2541fa406df"
            + "1dcf2f1baf26b4e42a180ea7fe59093b09a65907b31abc750781c0b48ef9af87f91e70f40b3eaf729325326c663f",
            "ffffffffffffffffffffffffffffffffe15e2af14bf9937ec85f74c7396ed1bcffffffffffffffffffffffffffffffffb4f3"
            + "a34e16ca804f7d8f3c793d7330ebffffffffffffffffffffffffffffffffb4f3a34e16ca804f7d8f3c793d7330ebcd32365b"
            + "2decd1268472c14c9568844d",
            true
        },
    };
}
