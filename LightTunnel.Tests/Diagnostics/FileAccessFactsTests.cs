using System.Globalization;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using Xunit;

namespace LightTunnel.Tests.Diagnostics;

/// <summary>What is thought of owners and access lists of Windows, written as Windows writes them (SDDL).</summary>
public sealed class FileAccessFactsTests
{
    private const string User = "S-1-5-21-1-2-3-1001", Stranger = "S-1-5-21-1-2-3-1002";
    private const string TrustedInstaller = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464";

    private static readonly Dictionary<string, string> Aliases = new()
    {
        ["BA"] = "S-1-5-32-544", ["SY"] = "S-1-5-18", ["BU"] = "S-1-5-32-545", ["WD"] = "S-1-1-0", ["AU"] = "S-1-5-11", ["IU"] = "S-1-5-4",
        ["BG"] = "S-1-5-32-546", ["CO"] = "S-1-3-0", ["OW"] = "S-1-3-4", ["BO"] = "S-1-5-32-551", ["AC"] = "S-1-15-2-1",
        ["TI"] = TrustedInstaller, ["me"] = User, ["he"] = Stranger,
    };

    private static readonly Dictionary<string, uint> Rights = new()
    {
        ["FA"] = 0x1F01FF, ["FR"] = 0x120089, ["FW"] = 0x120116, ["FX"] = 0x1200A0, ["GA"] = 0x10000000, ["GW"] = 0x40000000,
        ["GR"] = 0x80000000,
    };

    [Theory]
    [InlineData("O:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)", null)] // What a tunnel makes.
    [InlineData("O:meD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;me)", null)]
    [InlineData("O:SYD:", null)] // An empty list: nobody may do anything.
    [InlineData("O:TID:(A;OICI;FA;;;TI)(A;;FA;;;SY)(A;OICI;FA;;;CO)(A;;0x1200a9;;;BU)", null)]
    [InlineData("O:BAD:(A;;0x1200a9;;;BU)(A;;0x1200a9;;;AC)(A;OICIIO;FA;;;WD)", null)] // Read, and what only counts below.
    [InlineData("O:BAD:(A;;FA;;;OW)", null)]
    [InlineData("O:S-1-5-21-9-9-9-500D:(A;;FA;;;S-1-5-21-9-9-9-512)(A;;FA;;;S-1-5-21-9-9-9-519)", null)] // Domain Admins and the like.
    [InlineData("O:heD:P(A;;FA;;;SY)(A;;FA;;;BA)", "belongs to another user (S-1-5-21-1-2-3-1002)")]
    [InlineData("O:BUD:P(A;;FA;;;BA)", "belongs to another user (Users (S-1-5-32-545))")]
    [InlineData("O:WDD:P(A;;FA;;;BA)", "belongs to another user (Everyone (S-1-1-0))")]
    [InlineData("O:S-1-5-80-1-2-3-4-5D:P", "belongs to another user (S-1-5-80-1-2-3-4-5)")]
    [InlineData("O:S-1-5-21-1-2-3-1500D:P", "belongs to another user (S-1-5-21-1-2-3-1500)")] // Ends like an administrator's, and is none.
    [InlineData("D:P(A;;FA;;;BA)", "belongs to nobody")]
    [InlineData("O:BA", "has no access list, so everybody may write to it")]
    [InlineData("O:BAD:(A;;FA;;;WD)", "may be changed by Everyone (S-1-1-0)")]
    [InlineData("O:BAD:(A;;GA;;;BU)", "may be changed by Users (S-1-5-32-545)")]
    [InlineData("O:BAD:(A;;GW;;;IU)", "may be changed by INTERACTIVE (S-1-5-4)")]
    [InlineData("O:BAD:(A;;FW;;;BG)", "may be changed by Guests (S-1-5-32-546)")]
    [InlineData("O:BAD:(A;;0x1301bf;;;AU)", "may be changed by Authenticated Users (S-1-5-11)")] // Modify, as below C:\.
    [InlineData("O:BAD:(A;;0x2;;;BU)", "may be changed by Users (S-1-5-32-545)")] // A file added
    [InlineData("O:BAD:(A;;0x4;;;BU)", "may be changed by Users (S-1-5-32-545)")] // a folder added
    [InlineData("O:BAD:(A;;0x40;;;BU)", "may be changed by Users (S-1-5-32-545)")] // something in it deleted
    [InlineData("O:BAD:(A;;0x100;;;BU)", "may be changed by Users (S-1-5-32-545)")] // made a link, while it is empty
    [InlineData("O:BAD:(A;;0x10000;;;BU)", "may be changed by Users (S-1-5-32-545)")] // deleted
    [InlineData("O:BAD:(A;;0x40000;;;BO)", "may be changed by S-1-5-32-551")] // its list changed
    [InlineData("O:BAD:(A;;0x80000;;;he)", "may be changed by S-1-5-21-1-2-3-1002")] // its owner changed
    [InlineData("O:BAD:(D;;FA;;;WD)(A;;FA;;;WD)", "may be changed by Everyone (S-1-1-0)")] // What is denied is not reckoned with.
    public void Folder_IsTrusted_OnlyIfNobodyElseMayChangeIt(string sddl, string? fault)
    {
        Assert.Equal(fault, Parse(sddl).FaultOf(AccessPlace.Folder, User));
        Assert.Equal(fault, Parse(sddl).FaultOf(AccessPlace.File, User));
    }

    [Theory]
    [InlineData("O:TID:(A;;0x4;;;AU)(A;OICIIO;0x1301bf;;;AU)(A;;FA;;;SY)(A;;FA;;;BA)(A;OICI;0x1200a9;;;BU)", null)] // C:\
    [InlineData("O:SYD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICIIO;GA;;;CO)(A;OICI;0x1200a9;;;BU)(A;CI;0x116;;;BU)", null)] // C:\ProgramData
    [InlineData("O:SYD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;me)", null)] // C:\Users\me
    [InlineData("O:heD:P(A;OICI;FA;;;SY)", "belongs to another user (S-1-5-21-1-2-3-1002)")]
    [InlineData("O:BAD:(A;;0x1301bf;;;AU)", "may be changed by Authenticated Users (S-1-5-11)")]
    [InlineData("O:BAD:(A;;0x40;;;BU)", "may be changed by Users (S-1-5-32-545)")]
    [InlineData("O:BAD:(A;;GA;;;WD)", "may be changed by Everyone (S-1-1-0)")]
    [InlineData("O:BA", "has no access list, so everybody may write to it")]
    public void FolderOnTheWay_MayHaveThingsOfOthersInIt_ButNotBeChangedItself(string sddl, string? fault) =>
        Assert.Equal(fault, Parse(sddl).FaultOf(AccessPlace.OnTheWay, User));

    [Theory]
    // D:\, for data.
    [InlineData("O:SYD:(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;;0x1301bf;;;AU)(A;OICIIO;0x1301bf;;;AU)(A;OICI;0x1200a9;;;BU)", null)]
    [InlineData("O:SYD:(A;;0x1301ff;;;AU)", "may be changed by Authenticated Users (S-1-5-11)")] // They may delete what others have there.
    [InlineData("O:SYD:(A;;FA;;;WD)", "may be changed by Everyone (S-1-1-0)")]
    [InlineData("O:heD:(A;;FA;;;BA)", "belongs to another user (S-1-5-21-1-2-3-1002)")]
    public void RootOfAVolume_CannotBeDeleted(string sddl, string? fault) =>
        Assert.Equal(fault, Parse(sddl).FaultOf(AccessPlace.Root, User));

    [Theory]
    [InlineData("O:meD:P(A;;FA;;;me)(A;;FA;;;SY)", null, null)]
    [InlineData("O:meD:(A;;FA;;;me)(A;;0x1200a9;;;BU)", null, "Users (S-1-5-32-545)")]
    [InlineData("O:heD:(A;;GR;;;WD)", null, "Everyone (S-1-1-0)")]
    [InlineData("O:meD:(A;;0x1301bf;;;AU)", "Authenticated Users (S-1-5-11)", null)]
    [InlineData("O:me", null, "Everybody")] // FAT.
    public void SecretFile_ThatOthersMayWrite_IsRefused_AndOneThatTheyMayRead_WarnedOf(string sddl, string? writer, string? reader)
    {
        var warnings = new List<string>();
        void Check() => SecretFile.CheckAccess(@"D:\invitation.txt", Parse(sddl), User, warnings.Add);
        if (writer is null)
        {
            Check();
        }
        else
        {
            LightTunnelException error = Assert.Throws<LightTunnelException>(Check);
            Assert.Equal(LightTunnelError.FileAccess, error.Error);
            Assert.StartsWith(writer, error.Message, StringComparison.Ordinal);
            Assert.Contains("icacls", error.RecommendedAction, StringComparison.Ordinal);
        }

        Assert.Equal(reader is null ? 0 : 1, warnings.Count);
        if (reader is not null)
            Assert.StartsWith(reader, warnings[0], StringComparison.Ordinal);
    }

    /// <summary>As much of SDDL as is written here: an owner, and entries of type, flags, rights and identity.</summary>
    private static FileAccessFacts Parse(string sddl)
    {
        int list = sddl.IndexOf("D:", StringComparison.Ordinal);
        string owner = list < 0 ? sddl : sddl[..list];
        AccessGrant[]? grants = list < 0 ? null :
        [
            .. sddl[list..].Split('(').Skip(1).Select(entry => entry.TrimEnd(')').Split(';')).Where(fields => fields[0] == "A")
                .Select(fields =>
                    new AccessGrant(Identity(fields[5]), RightsOf(fields[2]), fields[1].Contains("IO", StringComparison.Ordinal))),
        ];
        return new FileAccessFacts(owner.Length == 0 ? null : Identity(owner[2..]), grants);
    }

    private static string Identity(string text) => Aliases.GetValueOrDefault(text, text);

    private static uint RightsOf(string text) =>
        Rights.TryGetValue(text, out uint rights)
            ? rights
            : uint.Parse(text.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
}
