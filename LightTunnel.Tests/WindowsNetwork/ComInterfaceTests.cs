using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using LightTunnel.WindowsNetwork;
using Xunit;

namespace LightTunnel.Tests.WindowsNetwork;

/// <summary>
/// COM calls by place: each interface has the methods of its header, in that order, as MinGW's copy of Windows's headers says.
/// </summary>
public sealed partial class ComInterfaceTests
{
    private const string Headers = "/usr/x86_64-w64-mingw32/include";

    [Theory]
    [InlineData(typeof(INetFwPolicy2), "netfw.h")]
    [InlineData(typeof(INetFwRules), "netfw.h")]
    [InlineData(typeof(INetFwRule), "netfw.h")]
    [InlineData(typeof(INetworkListManager), "netlistmgr.h")]
    [InlineData(typeof(IEnumNetworkConnections), "netlistmgr.h")]
    [InlineData(typeof(INetworkConnection), "netlistmgr.h")]
    [InlineData(typeof(INetwork), "netlistmgr.h")]
    public void Interface_HasTheMethodsOfItsHeader_InThatOrder(Type type, string header)
    {
        string path = Path.Combine(Headers, header);
        if (!File.Exists(path))
            Assert.Skip($"needs {header} of MinGW (Debian: mingw-w64-x86-64-dev).");
        string text = File.ReadAllText(path);

        string[] inherited = [.. Names(typeof(IDispatch))];
        string[] own = ["queryinterface", "addref", "release", .. inherited, .. Names(type).Except(inherited)];

        Assert.Equal(MethodsOf(text, type.Name), own);
        Assert.Contains($"MIDL_INTERFACE(\"{type.GUID}\")", text, StringComparison.Ordinal);
        Assert.Contains(typeof(IDispatch), type.GetInterfaces());
    }

    [Fact]
    public void Variant_IsAsLargeAsOaidlSays() => Assert.Equal(8 + (2 * Unsafe.SizeOf<nint>()), Unsafe.SizeOf<VariantArray>());

    [Fact]
    public void Variant_HasItsValueBehindTheReservedWords() => Assert.Equal(8, (int)Marshal.OffsetOf<VariantArray>("Value"));

    private static IEnumerable<string> Names(Type type) => type
        .GetMethods(BindingFlags.Public | BindingFlags.Instance | BindingFlags.DeclaredOnly)
        .OrderBy(method => method.MetadataToken)
        .Select(method => Plain(method.Name));

    private static string[] MethodsOf(string header, string name)
    {
        Match table = Regex.Match(header, $@"typedef struct {name}Vtbl \{{(.*?)\}} {name}Vtbl;", RegexOptions.Singleline);
        Assert.True(table.Success);
        return [.. Method().Matches(table.Groups[1].Value).Select(match => Plain(match.Groups[1].Value))];
    }

    private static string Plain(string name) => name.Replace("_", string.Empty, StringComparison.Ordinal).ToLowerInvariant();

    [GeneratedRegex(@"STDMETHODCALLTYPE \*(\w+)\)\(")]
    private static partial Regex Method();
}
